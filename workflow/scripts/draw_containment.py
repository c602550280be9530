"""Draw how well masses are estimated by how much of the top the image holds."""

from collections.abc import Sequence
from pathlib import Path

from topmass.console import stage
from topmass.drawing.dependence import BY_QUARKS, dependence, points_of
from topmass.drawing.style import save, styled
from topmass.files import BadInput
from topmass.scoring.score import read_metrics


def draw_containment(metrics: Path, containment: Path, colours: Sequence[str]) -> None:
    """Draw the MAE by quarks in the window, and by mass for contained and other jets. BadInput if it is not known."""
    scores = read_metrics(metrics)
    points = points_of(scores["regions"], BY_QUARKS)
    if not points:
        raise BadInput(f"{metrics}: it is known of no jet how many quarks lie in the window: nothing to draw")
    with styled(colours):
        save(dependence(points, ["mae"], scores["bootstrap"]["level"]), containment)


if __name__ == "__main__":
    with stage("draw_containment", snakemake.log[0]):
        draw_containment(Path(snakemake.input.metrics), Path(snakemake.output.containment[0]), snakemake.params.colours)
