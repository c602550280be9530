"""Figure of the MAE by the number of top-decay quarks in the image."""

from pathlib import Path

from topmass.evaluation.score import read_metrics
from topmass.evaluation.score_frame import score_frame
from topmass.files import BadInput
from topmass.plotting.binned_metrics import BY_QUARKS, dependence, metric_points
from topmass.plotting.style import FigureData


def draw_containment(metrics: Path) -> dict[str, FigureData]:
    """Draw the MAE by quarks in the window, and by mass for contained and other jets; BadInput without quark counts."""
    content = read_metrics(metrics)
    points = metric_points(score_frame(content["regions"]), BY_QUARKS)
    if points.empty:
        raise BadInput(f"{metrics}: the number of quarks in the window is unknown for all jets: nothing to draw")
    return {"containment": dependence(points, ["mae"], content["bootstrap"]["level"])}
