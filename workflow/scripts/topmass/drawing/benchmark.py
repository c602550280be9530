"""Figure of a benchmark: rates side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from topmass.drawing.style import LABEL


def rates(names: Sequence[str], values: np.ndarray, spread: np.ndarray, title: str) -> Figure:
    """Jets per second (N,) with their spread (N,) as bars, from top to bottom, on a logarithmic axis."""
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
    return figure
