"""Draw the predicted against the generated mass of the test jets."""

from collections.abc import Sequence
from pathlib import Path

from topmass.console import say, stage
from topmass.drawing.predictions import predicted_against_true
from topmass.drawing.style import save, styled
from topmass.scoring.predictions import Predictions
from topmass.scoring.score import overall, read_metrics


def draw_predictions(predictions: Path, metrics: Path, png: Path, pdf: Path, colours: Sequence[str]) -> None:
    """Draw all predictions, with the MAE and the MRE of the network."""
    jets = Predictions.load(predictions)
    notes = read_errors(metrics)
    say(f"{len(jets.mass):,} jets")
    with styled(colours):
        save(predicted_against_true(jets.mass, jets.predicted, notes), png, pdf)


def read_errors(path: Path) -> list[str]:
    """MAE and MRE of the network with their intervals, as lines of text. BadInput if they are not there."""
    metrics = read_metrics(path)
    network = overall(metrics)["scores"]["network"]
    return [
        describe("MAE", network["mae"], "GeV"),
        describe("MRE", {key: 100 * value for key, value in network["mre"].items()}, "%"),
        f"({metrics['bootstrap']['level']:.0%} intervals)",
    ]


def describe(name: str, number: dict[str, float], unit: str) -> str:
    """A value with the distances to the ends of its interval."""
    up, down = number["high"] - number["value"], number["value"] - number["low"]
    return f"{name} = ${number['value']:.1f}^{{+{up:.1f}}}_{{-{down:.1f}}}$ {unit}"


if __name__ == "__main__":
    with stage("draw_predictions", snakemake.log[0]):
        draw_predictions(
            Path(snakemake.input.predictions),
            Path(snakemake.input.metrics),
            Path(snakemake.output.png),
            Path(snakemake.output.pdf),
            snakemake.params.colours,
        )
