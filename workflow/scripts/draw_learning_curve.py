"""Draw the errors of networks and trees by the number of jets that they were trained on."""

from collections.abc import Sequence
from pathlib import Path

from topmass.console import stage
from topmass.drawing.learning_curve import learning_curves
from topmass.drawing.style import save, styled
from topmass.scoring.comparison import read_comparison


def draw_learning_curve(comparison: Path, figure: Path, floor: float | None, colours: Sequence[str]) -> None:
    """Draw MAE and MRE, a curve for each network among the experiments compared, and one for boosted trees.

    `floor`, GeV, is an MAE below which no curve can go; None if it is not known.
    """
    with styled(colours):
        save(learning_curves(read_comparison(comparison)["rows"], floor), figure)


if __name__ == "__main__":
    with stage("draw_learning_curve", snakemake.log[0]):
        draw_learning_curve(
            Path(snakemake.input.comparison),
            Path(snakemake.output.figure[0]),
            snakemake.params.floor,
            snakemake.params.colours,
        )
