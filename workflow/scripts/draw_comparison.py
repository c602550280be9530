"""Draw the errors of all experiments side by side."""

from collections.abc import Sequence
from pathlib import Path

from topmass.console import stage
from topmass.drawing.comparison import experiments_side_by_side, responses_side_by_side
from topmass.drawing.style import save, styled
from topmass.scoring.comparison import read_comparison


def draw_comparison(comparison: Path, errors: Path, responses: Path, colours: Sequence[str]) -> None:
    """Draw MAE, MRE and resolution of each experiment, its difference to the first one, and its response by mass."""
    found = read_comparison(comparison)
    with styled(colours):
        save(experiments_side_by_side(found["rows"], found["reference"], found["level"]), errors)
        save(responses_side_by_side(found["rows"]), responses)


if __name__ == "__main__":
    with stage("draw_comparison", snakemake.log[0]):
        draw_comparison(
            Path(snakemake.input.comparison),
            Path(snakemake.output.errors[0]),
            Path(snakemake.output.responses[0]),
            snakemake.params.colours,
        )
