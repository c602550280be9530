"""Bar charts of benchmark rates and of results relative to their targets."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from topmass.plotting.style import LABEL, FigureData


def rates(names: Sequence[str], values: np.ndarray, spread: np.ndarray, title: str) -> FigureData:
    """Draw rates as horizontal bars, from top to bottom, on a logarithmic axis.

    Args:
        names: Names of the N bars.
        values: Jets per second `(N,)`.
        spread: Spread of the rates `(N,)`, drawn as error bars.
        title: Title of the chart.
    """
    figure = Figure(figsize=(11, 1.5 + 0.6 * len(names)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    axes.barh(places, values, xerr=spread, color="C0", height=0.7)
    for place, value, end in zip(places, values, values + spread, strict=True):
        axes.annotate(f"{value:,.0f}", (end, place), (8, 0), textcoords="offset points", va="center")
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", which="both", length=0)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(values.min() / 2, (values + spread).max() * 2)
    axes.set_xlabel("Jets per second")
    axes.set_title(f"{LABEL}, {title}", loc="left", fontsize="small")
    return FigureData(figure, {"way": names, "jets_per_second": values, "spread": spread})


def reached_of_aimed(ratios: Mapping[str, tuple[float, float]], title: str) -> FigureData:
    """Draw one horizontal bar per name: the result over its target, with its spread.

    Args:
        ratios: Ratio and its spread by name. A ratio of at least 1 meets the target.
        title: Title of the chart.
    """
    figure = Figure(figsize=(11, 1.5 + 0.6 * len(ratios)), layout="constrained")
    axes = figure.subplots()
    names = list(ratios)[::-1]
    reached, spread = ([ratios[name][i] for name in names] for i in range(2))
    colours = ["C0" if value >= 1 else "C1" for value in reached]
    axes.barh(names, reached, xerr=spread, color=colours, height=0.6, ecolor="0.25")
    axes.axvline(1, color="0.25", linestyle="--")
    for i, value in enumerate(reached):
        axes.annotate(f"{value:.2f}", (0, i), (6, 0), textcoords="offset points", va="center", color="white")
    axes.set(xlabel="Reached / aim", title=title)
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    return FigureData(figure, {"part": names, "reached_over_aim": reached, "spread": spread})
