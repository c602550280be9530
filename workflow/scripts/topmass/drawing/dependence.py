"""Figures of how well masses are estimated, against what is known of the jets."""

from collections.abc import Iterable, Mapping, Sequence
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
AGAINST = {"mass": "Generated top mass (GeV)", "pt": "Jet $p_T$ (GeV)", "eta": r"Jet $|\eta|$"}


class Point(NamedTuple):
    """A metric of an estimator with its interval, for the jets in a bin of mass, pT or |η|; NaN where it has none."""

    against: str
    start: float
    end: float
    estimator: str
    metric: str
    value: float
    low: float
    high: float


def points_of(regions: Iterable[Mapping]) -> list[Point]:
    """The points of scores in regions of the form that metrics have them in; those in bins of one thing alone."""
    nothing = dict.fromkeys(("value", "low", "high"), np.nan)
    return [
        Point(region["by"], *region[region["by"]], estimator, metric, **(number or nothing))
        for region in regions if region["by"] in AGAINST
        for estimator in ESTIMATORS
        for metric, number in region["scores"].get(estimator, {}).items()
    ]  # fmt: skip


def dependence(points: Sequence[Point], metrics: Sequence[str], level: float) -> Drawn:
    """A row of panels for each of these metrics, a column for each thing that the points are against.

    The bands are intervals of this level.
    """
    chosen = [point for point in points if point.metric in metrics]
    columns = [name for name in AGAINST if any(point.against == name for point in chosen)]
    height = 3.2 if len(metrics) > 1 else 4.6
    figure = Figure(figsize=(max(13, 5 * len(columns)), height * len(metrics) + 1.3), layout="constrained")
    panels = figure.subplots(len(metrics), len(columns), squeeze=False, sharex="col", sharey="row")
    for metric, row in zip(metrics, panels, strict=True):
        for against, axes in zip(columns, row, strict=True):
            draw_panel(axes, [each for each in chosen if (each.metric, each.against) == (metric, against)])
        scale = METRICS[metric]
        row[0].set_ylabel(f"{scale.title} ({scale.unit})" if scale.unit else scale.title)
    for against, axes in zip(columns, panels[-1], strict=True):
        axes.set_xlabel(AGAINST[against])
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
