"""Figures of the predicted masses of the test jets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.predictions import Predictions, load_predicted
from topmass.evaluation.regions import eta_regions
from topmass.evaluation.score import baselines, inclusive, read_metrics
from topmass.evaluation.score_frame import score_frame
from topmass.plotting.binned_metrics import X_AXES, dependence, metric_points
from topmass.plotting.predicted_vs_true import predicted_against_true
from topmass.plotting.spectra import spectra
from topmass.plotting.style import ESTIMATORS, FigureData


def draw_predictions(
    predictions: Path, metrics: Path, others: Sequence[Path], falling_slope: float
) -> dict[str, FigureData]:
    """Draw all predictions with the MAE and MRE of the network, spectra, and median errors by mass, pT and |η|.

    Args:
        predictions: Predictions of the network.
        metrics: Metrics of the network.
        others: Predictions of other estimators for the same jets, in files of their names.
        falling_slope: Slope of the falling spectrum, GeV.
    """
    jets, content = Predictions.load(predictions), read_metrics(metrics)
    estimates = {"network": jets.predicted, **{path.stem: load_predicted(jets, path) for path in others}}
    estimates |= baselines(jets, content["min_mass"])
    masses = {name: estimates[name] for name in ESTIMATORS if name in estimates}
    log_info(f"{len(jets.mass):,} jets; {', '.join(ESTIMATORS[name].title for name in masses)}")
    points = metric_points(score_frame([*content["regions"], *scores_by_eta(jets, masses, content)]), X_AXES)
    masses.pop("constant_mae")
    return {
        "predicted": predicted_against_true(jets.mass, jets.predicted, error_lines(content)),
        "spectrum": spectra(jets.mass, masses, falling_slope),
        "median_error": dependence(points, ["median_error"], content["bootstrap"]["level"]),
    }


def scores_by_eta(jets: Predictions, masses: Mapping[str, np.ndarray], metrics: Mapping) -> Iterator[dict]:
    """Yield scores in bins of |η|, which the metrics lack; log a line if |η| is unknown for some jets."""
    regions = list(eta_regions(jets, np.flatnonzero(jets.mass > metrics["min_mass"])))
    if not regions:
        log_info("no errors by |η|: the position in the detector is unknown for some jets")
    columns = {name: (jets.mass, predicted) for name, predicted in masses.items()}
    bootstrap = Bootstrap(**metrics["bootstrap"])
    scores = bootstrap.score(METRICS, columns, [region.jets for region in regions], jets.event)
    for region, by_name in zip(regions, scores, strict=True):
        yield region.to_dict(["eta"], by_name)


def error_lines(metrics: Mapping) -> list[str]:
    """Return MAE and MRE of the network with the distances to the ends of their intervals, as lines of text."""
    lines = []
    for name in ("mae", "mre"):
        score, factor = inclusive(metrics)["scores"]["network"][name], METRICS[name].factor
        value, low, high = (factor * score[key] for key in ("value", "low", "high"))
        lines.append(
            f"{name.upper()} = ${value:.1f}^{{+{high - value:.1f}}}_{{-{value - low:.1f}}}$ {METRICS[name].unit}"
        )
    return [*lines, f"({metrics['bootstrap']['level']:.0%} intervals)"]
