"""Figures of metrics against jet variables."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from topmass.plotting.estimators import ESTIMATORS, add_legend
from topmass.plotting.style import LABEL, FigureData


class Scale(NamedTuple):
    """Axis of a metric.

    Attributes:
        title: Name of the metric.
        unit: Unit of the axis; for "%" the values are fractions and are multiplied by 100.
        ideal: Value of an ideal estimator, or None.
    """

    title: str
    unit: str
    ideal: float | None = None


PANEL_METRICS = {
    "response": Scale("Response", "", ideal=1),
    "resolution": Scale("Resolution", "%"),
    "bias": Scale("Bias", "GeV", ideal=0),
    "mae": Scale("MAE", "GeV"),
    "mre": Scale("MRE", "%"),
    "median_error": Scale("Median |error|", "GeV"),
}


class Axis(NamedTuple):
    """Horizontal axis of a panel.

    Attributes:
        title: Label of the axis.
        span: Key of a region that has its range on this axis.
        jets: Description of the jets, as title of the panel.
        values: All values of a discrete variable, as ticks.
    """

    title: str
    span: str
    jets: str = ""
    values: Sequence[int] = ()


MASS = Axis("Generated top mass (GeV)", "mass")
X_AXES = {"mass": MASS, "pt": Axis("Jet $p_T$ (GeV)", "pt"), "eta": Axis(r"Jet $|\eta|$", "eta")}
BY_QUARKS = {
    "quarks": Axis("Quarks in the window", "quarks", values=range(4)),
    "contained and mass": MASS._replace(jets="all three in the window"),
    "not contained and mass": MASS._replace(jets="fewer in the window"),
}
AXES = X_AXES | BY_QUARKS
"""Axes by the variable that divides regions, in the order of the panels."""


class MetricPoint(NamedTuple):
    """Metric of an estimator and its interval in one region; NaN where it is undefined.

    Attributes:
        against: Key of `AXES` that divides the regions.
        start: Lower edge of the region.
        end: Upper edge of the region.
        estimator: Key of `ESTIMATORS`.
        metric: Name of the metric.
        value: Value of the metric.
        low: Lower end of its interval.
        high: Upper end of its interval.
    """

    against: str
    start: float
    end: float
    estimator: str
    metric: str
    value: float
    low: float
    high: float


def metric_points(regions: Iterable[Mapping], against: Collection[str] = X_AXES) -> list[MetricPoint]:
    """Return the points of all estimators and metrics in some regions.

    Args:
        regions: Regions with scores, as in `metrics.json`.
        against: Keys of `AXES`; regions divided by other variables are skipped.
    """
    nothing = dict.fromkeys(("value", "low", "high"), np.nan)
    return [
        MetricPoint(region["by"], *region[AXES[region["by"]].span], estimator, metric, **(number or nothing))
        for region in regions if region["by"] in against
        for estimator in ESTIMATORS
        for metric, number in region["scores"].get(estimator, {}).items()
    ]  # fmt: skip


def dependence(points: Sequence[MetricPoint], metrics: Sequence[str], level: float) -> FigureData:
    """Draw one row of panels per metric and one column per variable.

    Args:
        points: Points to draw, as from `metric_points`.
        metrics: Names of the metrics, from top to bottom.
        level: Confidence level of the intervals, drawn as bands.
    """
    chosen = [point for point in points if point.metric in metrics]
    columns = [name for name in AXES if any(point.against == name for point in chosen)]
    height = 3.2 if len(metrics) > 1 else 4.6
    figure = Figure(figsize=(max(13, 5 * len(columns)), height * len(metrics) + 1.3), layout="constrained")
    panels = figure.subplots(len(metrics), len(columns), squeeze=False, sharex="col", sharey="row")
    for metric, row in zip(metrics, panels, strict=True):
        for against, axes in zip(columns, row, strict=True):
            draw_panel(axes, [each for each in chosen if (each.metric, each.against) == (metric, against)])
        scale = PANEL_METRICS[metric]
        row[0].set_ylabel(f"{scale.title} ({scale.unit})" if scale.unit else scale.title)
    for against, first, last in zip(columns, panels[0], panels[-1], strict=True):
        first.set_title(AXES[against].jets)
        last.set_xlabel(AXES[against].title)
    figure.align_ylabels()
    figure.suptitle(f"{LABEL}, bands: {level:.0%} intervals", x=0.01, horizontalalignment="left", fontsize="medium")
    present = [look for name, look in ESTIMATORS.items() if any(point.estimator == name for point in chosen)]
    add_legend(figure, [Line2D([], [], label=look.title, **look.marked) for look in present])
    units = [PANEL_METRICS[point.metric].unit.replace("%", "1") for point in chosen]
    return FigureData(figure, {**dict(zip(MetricPoint._fields, zip(*chosen, strict=True), strict=True)), "unit": units})


def draw_panel(axes: Axes, points: Sequence[MetricPoint]) -> None:
    """Draw one metric against one variable: a line and its band for each estimator."""
    scale = PANEL_METRICS[points[0].metric]
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
