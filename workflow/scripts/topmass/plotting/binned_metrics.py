"""Figures of metrics against jet variables."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from topmass.plotting.style import ESTIMATORS, LABEL, FigureData, add_legend


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


def metric_points(scores: pd.DataFrame, axes: Mapping[str, Axis]) -> pd.DataFrame:
    """Return the scores of the drawn estimators in the regions of some axes, with the edges on these axes.

    Args:
        scores: Scores in long form, as from `score_frame`.
        axes: Axis by binning (column `by`); regions of other binnings are skipped.

    Returns:
        Columns `against` (key of `axes`), `start` and `end` (edges), `estimator`, `metric`, `value`, `low`, `high`.
    """
    points = scores[scores["by"].isin(axes) & scores["estimator"].isin(ESTIMATORS)].rename(columns={"by": "against"})
    spans = points["against"].map(lambda name: axes[name].span)
    for edge, end in (("start", "low"), ("end", "high")):
        columns = {span: points[f"{span}_{end}"] for span in set(spans)}
        points[edge] = [columns[span][row] for row, span in spans.items()]
    return points[["against", "start", "end", "estimator", "metric", "value", "low", "high"]]


def dependence(points: pd.DataFrame, metrics: Sequence[str], level: float) -> FigureData:
    """Draw one row of panels per metric and one column per variable.

    Args:
        points: Points to draw, as from `metric_points`.
        metrics: Names of the metrics, from top to bottom.
        level: Confidence level of the intervals, drawn as bands.
    """
    points = points[points["metric"].isin(metrics)]
    variables = [name for name in AXES if name in set(points["against"])]
    height = 3.2 if len(metrics) > 1 else 4.6
    figure = Figure(figsize=(max(13, 5 * len(variables)), height * len(metrics) + 1.3), layout="constrained")
    panels = figure.subplots(len(metrics), len(variables), squeeze=False, sharex="col", sharey="row")
    for metric, row in zip(metrics, panels, strict=True):
        for variable, axes in zip(variables, row, strict=True):
            in_panel = (points["metric"] == metric) & (points["against"] == variable)
            draw_panel(axes, points[in_panel], PANEL_METRICS[metric], AXES[variable])
        scale = PANEL_METRICS[metric]
        row[0].set_ylabel(f"{scale.title} ({scale.unit})" if scale.unit else scale.title)
    for variable, first, last in zip(variables, panels[0], panels[-1], strict=True):
        first.set_title(AXES[variable].jets)
        last.set_xlabel(AXES[variable].title)
    figure.align_ylabels()
    figure.suptitle(f"{LABEL}, bands: {level:.0%} intervals", x=0.01, horizontalalignment="left", fontsize="medium")
    styles = [style for name, style in ESTIMATORS.items() if name in set(points["estimator"])]
    add_legend(figure, [Line2D([], [], label=style.title, **style.marked) for style in styles])
    units = {name: scale.unit.replace("%", "1") for name, scale in PANEL_METRICS.items()}
    return FigureData(figure, points.assign(unit=points["metric"].map(units)))


def draw_panel(axes: Axes, points: pd.DataFrame, scale: Scale, axis: Axis) -> None:
    """Draw one metric against one variable: a line and its band for each estimator."""
    for name, style in ESTIMATORS.items():
        estimator = points[points["estimator"] == name]
        if len(estimator):
            draw_band(axes, estimator, 100 if scale.unit == "%" else 1, **style.marked)
    if scale.ideal is not None:
        axes.axhline(scale.ideal, color="0.4", linewidth=1, zorder=0)
    axes.set_xlim(points["start"].min(), points["end"].max())
    if axis.values:
        axes.set_xlim(axis.values[0] - 0.5, axis.values[-1] + 0.5)
        axes.set_xticks(axis.values)
        axes.tick_params(axis="x", which="minor", length=0)


def draw_band(axes: Axes, points: pd.DataFrame, factor: float, color: str = "C0", **style: str) -> None:
    """Draw points of one estimator and metric, times a factor, at the bin centres, with their band.

    Args:
        axes: Axes to draw on.
        points: Points, as from `metric_points`.
        factor: Factor from the metric to the axis.
        color: Colour of line and band.
        **style: More arguments of `Axes.plot`.
    """
    centre = (points["start"].to_numpy(float) + points["end"].to_numpy(float)) / 2
    value, low, high = (factor * points[name].to_numpy(float) for name in ("value", "low", "high"))
    axes.fill_between(centre, low, high, color=color, alpha=0.25, linewidth=0)
    axes.plot(centre, value, color=color, **style)
