"""Figures of how well masses are estimated, against what is known of the jets."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from topmass.drawing.estimators import ESTIMATORS, add_legend
from topmass.drawing.style import LABEL, Drawn


class Scale(NamedTuple):
    """The axis of a metric: a percentage is a fraction times 100; and where an ideal one lies."""

    title: str
    unit: str
    ideal: float | None = None


METRICS = {
    "response": Scale("Response", "", ideal=1),
    "resolution": Scale("Resolution", "%"),
    "bias": Scale("Bias", "GeV", ideal=0),
    "mae": Scale("MAE", "GeV"),
    "mre": Scale("MRE", "%"),
    "median_error": Scale("Median |error|", "GeV"),
}


class Axis(NamedTuple):
    """The axis of a panel: its title, the span of a region that it shows, what the jets are, and the only values."""

    title: str
    span: str
    jets: str = ""
    values: Sequence[int] = ()


MASS = Axis("Generated top mass (GeV)", "mass")
AGAINST = {"mass": MASS, "pt": Axis("Jet $p_T$ (GeV)", "pt"), "eta": Axis(r"Jet $|\eta|$", "eta")}
BY_QUARKS = {
    "quarks": Axis("Quarks in the window", "quarks", values=range(4)),
    "contained and mass": MASS._replace(jets="all three in the window"),
    "not contained and mass": MASS._replace(jets="fewer in the window"),
}
AXES = AGAINST | BY_QUARKS
"""By what divides regions, in the order of the panels."""


class Point(NamedTuple):
    """A metric of an estimator with its interval, for the jets of a region by one of AXES; NaN where it has none."""

    against: str
    start: float
    end: float
    estimator: str
    metric: str
    value: float
    low: float
    high: float


def points_of(regions: Iterable[Mapping], against: Collection[str] = AGAINST) -> list[Point]:
    """The points of scores in regions of the form that metrics have them in; those by some of AXES."""
    nothing = dict.fromkeys(("value", "low", "high"), np.nan)
    return [
        Point(region["by"], *region[AXES[region["by"]].span], estimator, metric, **(number or nothing))
        for region in regions if region["by"] in against
        for estimator in ESTIMATORS
        for metric, number in region["scores"].get(estimator, {}).items()
    ]  # fmt: skip


def dependence(points: Sequence[Point], metrics: Sequence[str], level: float) -> Drawn:
    """A row of panels for each of these metrics, a column for each thing that the points are against.

    The bands are intervals of this level.
    """
    chosen = [point for point in points if point.metric in metrics]
    columns = [name for name in AXES if any(point.against == name for point in chosen)]
    height = 3.2 if len(metrics) > 1 else 4.6
    figure = Figure(figsize=(max(13, 5 * len(columns)), height * len(metrics) + 1.3), layout="constrained")
    panels = figure.subplots(len(metrics), len(columns), squeeze=False, sharex="col", sharey="row")
    for metric, row in zip(metrics, panels, strict=True):
        for against, axes in zip(columns, row, strict=True):
            draw_panel(axes, [each for each in chosen if (each.metric, each.against) == (metric, against)])
        scale = METRICS[metric]
        row[0].set_ylabel(f"{scale.title} ({scale.unit})" if scale.unit else scale.title)
    for against, first, last in zip(columns, panels[0], panels[-1], strict=True):
        first.set_title(AXES[against].jets)
        last.set_xlabel(AXES[against].title)
    figure.align_ylabels()
    figure.suptitle(f"{LABEL}, bands: {level:.0%} intervals", x=0.01, horizontalalignment="left", fontsize="medium")
    present = [look for name, look in ESTIMATORS.items() if any(point.estimator == name for point in chosen)]
    add_legend(figure, [Line2D([], [], label=look.title, **look.marked) for look in present])
    units = [METRICS[point.metric].unit.replace("%", "1") for point in chosen]
    return Drawn(figure, {**dict(zip(Point._fields, zip(*chosen, strict=True), strict=True)), "unit": units})


def draw_panel(axes: Axes, points: Sequence[Point]) -> None:
    """One metric against one thing: a line with its band for each estimator."""
    scale = METRICS[points[0].metric]
    for name, look in ESTIMATORS.items():
        shown = [(p.start, p.end, p.value, p.low, p.high) for p in points if p.estimator == name]
        if shown:
            start, end, *numbers = np.array(shown).T
            value, low, high = (each * (100 if scale.unit == "%" else 1) for each in numbers)
            axes.fill_between((start + end) / 2, low, high, color=look.color, alpha=0.25, linewidth=0)
            axes.plot((start + end) / 2, value, **look.marked)
    if scale.ideal is not None:
        axes.axhline(scale.ideal, color="0.4", linewidth=1, zorder=0)
    axes.set_xlim(min(point.start for point in points), max(point.end for point in points))
    if values := AXES[points[0].against].values:
        axes.set_xlim(values[0] - 0.5, values[-1] + 0.5)
        axes.set_xticks(values)
        axes.tick_params(axis="x", which="minor", length=0)
