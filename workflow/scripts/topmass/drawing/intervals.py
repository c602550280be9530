"""The figure of a network's intervals."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.drawing.dependence import AGAINST, MASS, Axis, Point
from topmass.drawing.style import LABEL, Drawn

COVERAGE = {
    "mass": MASS,
    "predicted": Axis("Predicted top mass (GeV)", "predicted"),
    "pt": AGAINST["pt"],
    "eta": AGAINST["eta"],
}
"""What the coverage is drawn against, in the order of the panels."""
WIDTH = "Half width of the interval (GeV)"
AT_WIDTH = ("median_width", "median_error")
KINDS = {
    "mass": ("all jets", "0.4", "--"),
    "contained and mass": ("all three quarks in the window", "C0", "-"),
    "not contained and mass": ("fewer in the window", "C1", "-"),
}
"""By what divides them: which jets those of a bin of mass are, and how they are drawn."""
SPANS = {
    **{name: axis.span for name, axis in COVERAGE.items()},
    **dict.fromkeys(KINDS, "mass"),
    "half_width": "half_width",
}
"""The span of a region that is drawn, by what divides regions."""


def interval_panels(intervals: Mapping, level: float) -> Drawn:
    """Above, the coverage; below, the median |error| by half width, and half the mean width by mass and containment.

    `intervals` are those of the metrics; the bands are bootstrap intervals of this level.
    """
    points = points_of(intervals["regions"])
    shown = [name for name in COVERAGE if any(point.against == name for point in points)]
    figure = Figure(figsize=(4.6 * len(shown), 10), layout="constrained")
    above, below = figure.subfigures(2, 1)
    for name, axes in zip(shown, np.ravel(above.subplots(1, len(shown), sharey=True)), strict=True):
        draw(axes, points, name, "coverage", 100)
        axes.axhline(100 * intervals["level"], color="0.4", linewidth=1, zorder=0)
        axes.set_xlabel(COVERAGE[name].title)
    above.axes[0].set_ylabel(f"Coverage (%), nominal {100 * intervals['level']:.0f}")
    errors, widths = below.subplots(1, 2)
    draw_errors(errors, points, intervals["level"])
    for name, (label, color, line) in KINDS.items():
        draw(widths, points, name, "mean_width", 0.5, label=label, color=color, linestyle=line)
    widths.set(xlabel=MASS.title, ylabel="Mean half width (GeV)")
    widths.set_ylim(0, 1.3 * widths.get_ylim()[1])
    widths.legend(loc="upper left")
    figure.suptitle(f"{LABEL}, bands: {level:.0%} intervals", x=0.01, horizontalalignment="left", fontsize="medium")
    return Drawn(figure, dict(zip(Point._fields, zip(*points, strict=True), strict=True)))


def points_of(regions: Sequence[Mapping]) -> list[Point]:
    """What is drawn of the regions of intervals."""
    nothing = dict.fromkeys(("value", "low", "high"), np.nan)
    return [
        Point(region["by"], *region[SPANS[region["by"]]], "network", metric, **(number or nothing))
        for region in regions if region["by"] in SPANS
        for metric, number in region["scores"]["network"].items()
    ]  # fmt: skip


def draw(axes: Axes, points: Sequence[Point], against: str, metric: str, factor: float, **look: str) -> None:
    """A metric, times a factor, with its band at the middle of each bin; nothing where no jet is divided by this."""
    found = [(p.start, p.end, p.value, p.low, p.high) for p in points if (p.against, p.metric) == (against, metric)]
    if found:
        start, end, *numbers = np.array(found).T
        value, low, high = (factor * each for each in numbers)
        axes.fill_between((start + end) / 2, low, high, color=look.get("color", "C0"), alpha=0.25, linewidth=0)
        axes.plot((start + end) / 2, value, marker="o", **look)
        axes.set_xlim(start.min(), end.max())


def draw_errors(axes: Axes, points: Sequence[Point], level: float) -> None:
    """The median |error| by half width, at half the median width, with what it is where errors are normal."""
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
