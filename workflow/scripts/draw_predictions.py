"""Draw the predicted masses of the test jets: against the generated ones, their spectra, and where they are wrong."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.drawing.dependence import dependence, points_of
from topmass.drawing.estimators import ESTIMATORS
from topmass.drawing.predictions import predicted_against_true
from topmass.drawing.spectra import spectra
from topmass.drawing.style import save, styled
from topmass.scoring.baselines import baselines
from topmass.scoring.bootstrap import Bootstrap
from topmass.scoring.metrics import METRICS
from topmass.scoring.predictions import Predictions, predicted_for
from topmass.scoring.regions import by_eta
from topmass.scoring.score import overall, read_metrics


def draw_predictions(
    predictions: Path, metrics: Path, others: Mapping[str, Path], predicted: Path, spectrum: Path, median_error: Path,
    slope: float, colours: Sequence[str],
) -> None:  # fmt: skip
    """Draw all predictions with the MAE and MRE of the network, spectra, and median errors by mass, pT and |η|.

    `others` are the predictions of other estimators by their names, `slope` is that of a falling spectrum, GeV.
    BadInput if the others are of other jets.
    """
    jets, scores = Predictions.load(predictions), read_metrics(metrics)
    known = {"network": jets.predicted, **{name: predicted_for(jets, path) for name, path in others.items()}}
    known |= baselines(jets, scores["mass_above"])
    guesses = {name: known[name] for name in ESTIMATORS if name in known}
    say(f"{len(jets.mass):,} jets; {', '.join(ESTIMATORS[name].title for name in guesses)}")
    points = points_of([*scores["regions"], *regions_by_eta(jets, guesses, scores)])
    guesses.pop("constant_mae")
    with styled(colours):
        save(predicted_against_true(jets.mass, jets.predicted, errors_of(scores)), predicted)
        save(spectra(jets.mass, guesses, slope), spectrum)
        save(dependence(points, ["median_error"], scores["bootstrap"]["level"]), median_error)


def regions_by_eta(jets: Predictions, guesses: Mapping[str, np.ndarray], metrics: Mapping) -> Iterator[dict]:
    """Scores in bins of |η|, which the metrics do not have; none, and a line, if it is not known of all jets."""
    regions = list(by_eta(jets, np.flatnonzero(jets.mass > metrics["mass_above"])))
    if not regions:
        say("no errors by |η|: it is not known where in the detector the jets are")
    columns = {name: (jets.mass, guess) for name, guess in guesses.items()}
    scores = Bootstrap(**metrics["bootstrap"]).score(METRICS, columns, [each.jets for each in regions], jets.event)
    for region, found in zip(regions, scores, strict=True):
        yield {"by": region.by, "eta": region.eta, "scores": found}


def errors_of(metrics: Mapping) -> list[str]:
    """MAE and MRE of the network with their intervals, as lines of text."""
    network = overall(metrics)["scores"]["network"]
    return [
        describe("MAE", network["mae"], "GeV"),
        describe("MRE", {key: 100 * value for key, value in network["mre"].items()}, "%"),
        f"({metrics['bootstrap']['level']:.0%} intervals)",
    ]


def describe(name: str, number: Mapping[str, float], unit: str) -> str:
    """A value with the distances to the ends of its interval."""
    up, down = number["high"] - number["value"], number["value"] - number["low"]
    return f"{name} = ${number['value']:.1f}^{{+{up:.1f}}}_{{-{down:.1f}}}$ {unit}"


if __name__ == "__main__":
    with stage("draw_predictions", snakemake.log[0]):
        draw_predictions(
            Path(snakemake.input.predictions),
            Path(snakemake.input.metrics),
            {Path(path).stem: Path(path) for path in snakemake.input.others},
            Path(snakemake.output.predicted[0]),
            Path(snakemake.output.spectrum[0]),
            Path(snakemake.output.median_error[0]),
            snakemake.params.falling_slope,
            snakemake.params.colours,
        )
