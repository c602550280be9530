"""Draw the errors of all experiments side by side."""

from collections.abc import Sequence
from pathlib import Path

from topmass.console import stage
from topmass.drawing.comparison import experiments_side_by_side
from topmass.drawing.style import save, styled
from topmass.scoring.comparison import read_comparison


def draw_comparison(comparison: Path, png: Path, pdf: Path, colours: Sequence[str]) -> None:
    """Draw MAE, MRE and resolution of each experiment, and its difference to the first one."""
    found = read_comparison(comparison)
    with styled(colours):
        save(experiments_side_by_side(found["rows"], found["reference"], found["level"]), png, pdf)


if __name__ == "__main__":
    with stage("draw_comparison", snakemake.log[0]):
        draw_comparison(
            Path(snakemake.input.comparison),
            Path(snakemake.output.png),
            Path(snakemake.output.pdf),
            snakemake.params.colours,
        )
