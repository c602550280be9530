"""Figure of the coverage and width of a network's intervals."""

from collections.abc import Sequence
from pathlib import Path

from topmass.evaluation.score import read_metrics
from topmass.files import BadInput
from topmass.plotting.coverage import interval_panels
from topmass.plotting.style import save, style_context


def draw_intervals(metrics: Path, intervals: Path, colours: Sequence[str]) -> None:
    """Draw coverage, errors by half width, and half width by mass; BadInput if the network predicts no quantiles."""
    scores = read_metrics(metrics)
    if not scores["intervals"]:
        raise BadInput(f"{metrics}: the network gives the mass alone, without quantiles: nothing to draw")
    with style_context(colours):
        save(interval_panels(scores["intervals"], scores["bootstrap"]["level"]), intervals)
