"""Figures of the metrics in bins of mass, pT and both."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.evaluation.score import read_metrics
from topmass.plotting.binned_metrics import dependence, metric_points
from topmass.plotting.resolution_map import resolution_map as draw_resolution_map
from topmass.plotting.style import save, style_context


def draw_metrics(
    metrics: Path, response: Path, mean_errors: Path, resolution_map: Path, colours: Sequence[str]
) -> None:
    """Draw response, resolution and bias (`response`), MAE and MRE (`mean_errors`), and the resolution map."""
    scores = read_metrics(metrics)
    points, level = metric_points(scores["regions"]), scores["bootstrap"]["level"]
    cells = [region for region in scores["regions"] if region["by"] == "mass and pt"]
    found = [cell["scores"]["network"]["resolution"] for cell in cells]
    resolution = np.array([np.nan if number is None else number["value"] for number in found])
    spans = ([cell[name] for cell in cells] for name in ("mass", "pt"))
    with style_context(colours):
        save(dependence(points, ["response", "resolution", "bias"], level), response)
        save(dependence(points, ["mae", "mre"], level), mean_errors)
        save(draw_resolution_map(*spans, resolution, np.array([cell["jets"] for cell in cells])), resolution_map)
