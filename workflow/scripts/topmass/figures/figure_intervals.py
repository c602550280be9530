"""Figure of the coverage and width of a network's intervals."""

from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.evaluation.score import read_metrics
from topmass.evaluation.score_frame import score_frame
from topmass.files import BadInput
from topmass.plotting.binned_metrics import MASS, X_AXES, Axis, draw_band, metric_points
from topmass.plotting.style import LABEL, FigureData

COVERAGE_AXES = {
    "mass": MASS,
    "predicted": Axis("Predicted top mass (GeV)", "predicted"),
    "pt": X_AXES["pt"],
    "eta": X_AXES["eta"],
}
"""Axes of the coverage panels, in their order."""
WIDTH_CURVES = {
    "mass": {"label": "all jets", "color": "0.4", "linestyle": "--"},
    "contained and mass": {"label": "all three quarks in the window", "color": "C0", "linestyle": "-"},
    "not contained and mass": {"label": "fewer in the window", "color": "C1", "linestyle": "-"},
}
"""Curves of the width against the generated mass, by the variables that divide the regions."""
HALF_WIDTH = Axis("Half width of the interval (GeV)", "half_width")
DRAWN_AXES = COVERAGE_AXES | dict.fromkeys(WIDTH_CURVES, MASS) | {"half_width": HALF_WIDTH}


def draw_intervals(metrics: Path) -> dict[str, FigureData]:
    """Draw coverage, errors by half width, and half width by mass; BadInput if the network predicts no quantiles."""
    content = read_metrics(metrics)
    if not content["intervals"]:
        raise BadInput(f"{metrics}: the network predicts only the mass, without quantiles: nothing to draw")
    return {"intervals": interval_panels(content["intervals"], content["bootstrap"]["level"])}


def interval_panels(intervals: Mapping, level: float) -> FigureData:
    """Draw the coverage (top), and the median |error| by half width and the mean half width by mass (bottom).

    Args:
        intervals: The `intervals` of `metrics.json`.
        level: Confidence level of the bootstrap intervals, drawn as bands.
    """
    points = metric_points(score_frame(intervals["regions"]), DRAWN_AXES)
    by_curve = dict(list(points.groupby(["against", "metric"])))
    variables = [name for name in COVERAGE_AXES if (name, "coverage") in by_curve]
    figure = Figure(figsize=(4.6 * len(variables), 10), layout="constrained")
    above, below = figure.subfigures(2, 1)
    for name, axes in zip(variables, np.ravel(above.subplots(1, len(variables), sharey=True)), strict=True):
        draw_curve(axes, by_curve[name, "coverage"], 100)
        axes.axhline(100 * intervals["level"], color="0.4", linewidth=1, zorder=0)
        axes.set_xlabel(COVERAGE_AXES[name].title)
    above.axes[0].set_ylabel(f"Coverage (%), nominal {100 * intervals['level']:.0f}")
    errors, widths = below.subplots(1, 2)
    draw_errors(errors, by_curve["half_width", "median_width"], by_curve["half_width", "median_error"], intervals)
    for name, style in WIDTH_CURVES.items():
        if (name, "mean_width") in by_curve:
            draw_curve(widths, by_curve[name, "mean_width"], 0.5, **style)
    widths.set(xlabel=MASS.title, ylabel="Mean half width (GeV)")
    widths.set_ylim(0, 1.3 * widths.get_ylim()[1])
    widths.legend(loc="upper left")
    figure.suptitle(f"{LABEL}, bands: {level:.0%} intervals", x=0.01, horizontalalignment="left", fontsize="medium")
    return FigureData(figure, points)


def draw_curve(axes: Axes, points: pd.DataFrame, factor: float, **style: str) -> None:
    """Draw a metric times a factor over the full range of its bins."""
    draw_band(axes, points, factor, marker="o", **style)
    axes.set_xlim(points["start"].min(), points["end"].max())


def draw_errors(axes: Axes, widths: pd.DataFrame, errors: pd.DataFrame, intervals: Mapping) -> None:
    """Draw the median |error| against half the median width, and the expectation for normal errors."""
    half_width = widths["value"].to_numpy() / 2
    axes.fill_between(half_width, errors["low"], errors["high"], color="C0", alpha=0.25, linewidth=0)
    axes.plot(half_width, errors["value"].to_numpy(), marker="o", color="C0", label="network")
    normal = NormalDist()
    slope = normal.inv_cdf(0.75) / normal.inv_cdf((1 + intervals["level"]) / 2)
    ends = np.array([0, 1.1 * np.nanmax(half_width)])
    axes.plot(ends, slope * ends, "--", color="0.4", label="normal errors")
    axes.set(xlabel=HALF_WIDTH.title, ylabel="Median |error| (GeV)", xlim=ends, ylim=(0, None))
    axes.legend(loc="upper left")
