"""Draw how often the mass lies in the intervals of a network, and whether wide ones belong to large errors."""

from collections.abc import Sequence
from pathlib import Path

from topmass.console import stage
from topmass.drawing.intervals import interval_panels
from topmass.drawing.style import save, styled
from topmass.files import BadInput
from topmass.scoring.score import read_metrics


def draw_intervals(metrics: Path, intervals: Path, colours: Sequence[str]) -> None:
    """Draw coverage, errors by half width, and half width by mass. BadInput if the network gives the mass alone."""
    scores = read_metrics(metrics)
    if not scores["intervals"]:
        raise BadInput(f"{metrics}: the network gives the mass alone, without quantiles: nothing to draw")
    with styled(colours):
        save(interval_panels(scores["intervals"], scores["bootstrap"]["level"]), intervals)


if __name__ == "__main__":
    with stage("draw_intervals", snakemake.log[0]):
        draw_intervals(Path(snakemake.input.metrics), Path(snakemake.output.intervals[0]), snakemake.params.colours)
