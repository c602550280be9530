"""Figure of the coverage and width of a network's intervals."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.plotting.binned_metrics import MASS, X_AXES, Axis, MetricPoint
from topmass.plotting.style import LABEL, FigureData

COVERAGE = {
    "mass": MASS,
    "predicted": Axis("Predicted top mass (GeV)", "predicted"),
    "pt": X_AXES["pt"],
    "eta": X_AXES["eta"],
}
"""Variables on the horizontal axes of the coverage panels, in their order."""
WIDTH = "Half width of the interval (GeV)"
AT_WIDTH = ("median_width", "median_error")
KINDS = {
    "mass": ("all jets", "0.4", "--"),
    "contained and mass": ("all three quarks in the window", "C0", "-"),
    "not contained and mass": ("fewer in the window", "C1", "-"),
}
"""Label, colour and line style of the jets in mass bins, by the variables that divide the regions."""
COVERAGE_VARIABLES = {
    **{name: axis.span for name, axis in COVERAGE.items()},
    **dict.fromkeys(KINDS, "mass"),
    "half_width": "half_width",
}
"""Key of the range that is drawn, by the variable that divides the regions."""


def interval_panels(intervals: Mapping, level: float) -> FigureData:
    """Draw the coverage (top), and the median |error| by half width and the mean half width by mass (bottom).

    Args:
        intervals: The `intervals` of `metrics.json`.
        level: Confidence level of the bootstrap intervals, drawn as bands.
    """
    points = coverage_points(intervals["regions"])
    shown = [name for name in COVERAGE if any(point.against == name for point in points)]
    figure = Figure(figsize=(4.6 * len(shown), 10), layout="constrained")
    above, below = figure.subfigures(2, 1)
    for name, axes in zip(shown, np.ravel(above.subplots(1, len(shown), sharey=True)), strict=True):
        draw_coverage(axes, points, name, "coverage", 100)
        axes.axhline(100 * intervals["level"], color="0.4", linewidth=1, zorder=0)
        axes.set_xlabel(COVERAGE[name].title)
    above.axes[0].set_ylabel(f"Coverage (%), nominal {100 * intervals['level']:.0f}")
    errors, widths = below.subplots(1, 2)
    draw_errors(errors, points, intervals["level"])
    for name, (label, color, line) in KINDS.items():
        draw_coverage(widths, points, name, "mean_width", 0.5, label=label, color=color, linestyle=line)
    widths.set(xlabel=MASS.title, ylabel="Mean half width (GeV)")
    widths.set_ylim(0, 1.3 * widths.get_ylim()[1])
    widths.legend(loc="upper left")
    figure.suptitle(f"{LABEL}, bands: {level:.0%} intervals", x=0.01, horizontalalignment="left", fontsize="medium")
    return FigureData(figure, dict(zip(MetricPoint._fields, zip(*points, strict=True), strict=True)))


def coverage_points(regions: Sequence[Mapping]) -> list[MetricPoint]:
    """Return the points of the regions that the figure shows."""
    nothing = dict.fromkeys(("value", "low", "high"), np.nan)
    return [
        MetricPoint(region["by"], *region[COVERAGE_VARIABLES[region["by"]]], "network", metric, **(number or nothing))
        for region in regions if region["by"] in COVERAGE_VARIABLES
        for metric, number in region["scores"]["network"].items()
    ]  # fmt: skip


def draw_coverage(
    axes: Axes, points: Sequence[MetricPoint], against: str, metric: str, factor: float, **look: str
) -> None:
    """Draw a metric times a factor at the bin centres, with its band, if there are regions in this variable.

    Args:
        axes: Axes to draw on.
        points: Points of all metrics and variables.
        against: Variable that divides the regions.
        metric: Name of the metric.
        factor: Factor from the metric to the axis.
        **look: Arguments of `Axes.plot`.
    """
    found = [(p.start, p.end, p.value, p.low, p.high) for p in points if (p.against, p.metric) == (against, metric)]
    if found:
        start, end, *numbers = np.array(found).T
        value, low, high = (factor * each for each in numbers)
        axes.fill_between((start + end) / 2, low, high, color=look.get("color", "C0"), alpha=0.25, linewidth=0)
        axes.plot((start + end) / 2, value, marker="o", **look)
        axes.set_xlim(start.min(), end.max())


def draw_errors(axes: Axes, points: Sequence[MetricPoint], level: float) -> None:
    """Draw the median |error| against half the median width, and the expectation for normal errors."""
    found = {name: [p for p in points if (p.against, p.metric) == ("half_width", name)] for name in AT_WIDTH}
    half_width = np.array([point.value for point in found["median_width"]]) / 2
    value, low, high = np.array([(p.value, p.low, p.high) for p in found["median_error"]]).T
    axes.fill_between(half_width, low, high, color="C0", alpha=0.25, linewidth=0)
    axes.plot(half_width, value, marker="o", color="C0", label="network")
    normal = NormalDist()
    slope = normal.inv_cdf(0.75) / normal.inv_cdf((1 + level) / 2)
    ends = np.array([0, 1.1 * np.nanmax(half_width)])
    axes.plot(ends, slope * ends, "--", color="0.4", label="normal errors")
    axes.set(xlabel=WIDTH, ylabel="Median |error| (GeV)", xlim=ends, ylim=(0, None))
    axes.legend(loc="upper left")
