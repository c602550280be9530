"""Figure of the MAE by the number of top-decay quarks in the image."""

from collections.abc import Sequence
from pathlib import Path

from topmass.evaluation.score import read_metrics
from topmass.files import BadInput
from topmass.plotting.binned_metrics import BY_QUARKS, dependence, metric_points
from topmass.plotting.style import save, style_context


def draw_containment(metrics: Path, containment: Path, colours: Sequence[str]) -> None:
    """Draw the MAE by quarks in the window, and by mass for contained and other jets; BadInput without quark counts."""
    scores = read_metrics(metrics)
    points = metric_points(scores["regions"], BY_QUARKS)
    if not points:
        raise BadInput(f"{metrics}: it is known of no jet how many quarks lie in the window: nothing to draw")
    with style_context(colours):
        save(dependence(points, ["mae"], scores["bootstrap"]["level"]), containment)
