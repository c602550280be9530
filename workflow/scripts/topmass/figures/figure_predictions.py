"""Figures of the predicted masses of the test jets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info
from topmass.evaluation.baselines import baselines
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.predictions import Predictions, predicted_for
from topmass.evaluation.regions import eta_regions
from topmass.evaluation.score import inclusive, read_metrics
from topmass.plotting.binned_metrics import dependence, metric_points
from topmass.plotting.estimators import ESTIMATORS
from topmass.plotting.predicted_vs_true import predicted_against_true
from topmass.plotting.spectra import spectra
from topmass.plotting.style import save, style_context


def draw_predictions(
    predictions: Path, metrics: Path, others: Sequence[Path], predicted: Path, spectrum: Path, median_error: Path,
    falling_slope: float, colours: Sequence[str],
) -> None:  # fmt: skip
    """Draw all predictions with the MAE and MRE of the network, spectra, and median errors by mass, pT and |η|.

    Args:
        predictions: Predictions of the network.
        metrics: Metrics of the network.
        others: Predictions of other estimators, in files of their names.
        predicted: Figure of predicted against generated masses.
        spectrum: Figure of the spectra.
        median_error: Figure of the median errors.
        falling_slope: Slope of the falling spectrum, GeV.
        colours: Colours of the figures.

    Raises:
        BadInput: Other estimators have predictions for different jets.
    """
    jets, scores = Predictions.load(predictions), read_metrics(metrics)
    known = {"network": jets.predicted, **{path.stem: predicted_for(jets, path) for path in others}}
    known |= baselines(jets, scores["min_mass"])
    guesses = {name: known[name] for name in ESTIMATORS if name in known}
    log_info(f"{len(jets.mass):,} jets; {', '.join(ESTIMATORS[name].title for name in guesses)}")
    points = metric_points([*scores["regions"], *regions_by_eta(jets, guesses, scores)])
    guesses.pop("constant_mae")
    with style_context(colours):
        save(predicted_against_true(jets.mass, jets.predicted, errors_of(scores)), predicted)
        save(spectra(jets.mass, guesses, falling_slope), spectrum)
        save(dependence(points, ["median_error"], scores["bootstrap"]["level"]), median_error)


def regions_by_eta(jets: Predictions, guesses: Mapping[str, np.ndarray], metrics: Mapping) -> Iterator[dict]:
    """Yield scores in bins of |η|, which the metrics lack; log a line if |η| is not known for all jets."""
    regions = list(eta_regions(jets, np.flatnonzero(jets.mass > metrics["min_mass"])))
    if not regions:
        log_info("no errors by |η|: it is not known where in the detector the jets are")
    columns = {name: (jets.mass, guess) for name, guess in guesses.items()}
    scores = Bootstrap(**metrics["bootstrap"]).score(METRICS, columns, [each.jets for each in regions], jets.event)
    for region, found in zip(regions, scores, strict=True):
        yield {"by": region.by, "eta": region.eta, "scores": found}


def errors_of(metrics: Mapping) -> list[str]:
    """Return MAE and MRE of the network with their intervals, as lines of text."""
    network = inclusive(metrics)["scores"]["network"]
    return [
        describe("MAE", network["mae"], "GeV"),
        describe("MRE", {key: 100 * value for key, value in network["mre"].items()}, "%"),
        f"({metrics['bootstrap']['level']:.0%} intervals)",
    ]


def describe(name: str, number: Mapping[str, float], unit: str) -> str:
    """Return a value with the distances to the ends of its interval, as text."""
    up, down = number["high"] - number["value"], number["value"] - number["low"]
    return f"{name} = ${number['value']:.1f}^{{+{up:.1f}}}_{{-{down:.1f}}}$ {unit}"
