"""Figures of several experiments at once."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.drawing.style import LABEL

PANELS = (("mae", "MAE (GeV)", 1), ("mre", "MRE (%)", 100), ("resolution", "Resolution (%)", 100))


def experiments_side_by_side(rows: Sequence[Mapping], reference: str, level: float) -> Figure:
    """One line an experiment, from top to bottom, with each seed, their mean and deviation, and the paired difference.

    `rows` are those of a comparison to the experiment `reference`; `level` is that of the intervals of differences.
    """
    differing = any(row["difference"] for row in rows)
    figure = Figure(figsize=(4.2 * (len(PANELS) + differing) + 2, 2.2 + 0.7 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(PANELS) + differing, sharey=True, squeeze=False)[0]
    places = np.arange(len(rows))
    for axes, (name, title, factor) in zip(panels, PANELS, strict=False):
        for place, row in zip(places, rows, strict=True):
            draw_seeds(axes, place, row["scores"][name], factor)
        axes.set_xlabel(title)
    if differing:
        draw_differences(panels[-1], places, rows)
        panels[-1].set_xlabel(f"MAE less that of {reference}\n(GeV, {level:.0%} interval)")
    panels[0].set_yticks(places, [row["experiment"] for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    for axes in panels:
        axes.tick_params(axis="y", which="both", length=0)
        axes.grid(axis="x", color="0.9")
        axes.margins(x=0.12)
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    return figure


def draw_seeds(axes: Axes, place: int, score: Mapping, factor: float) -> None:
    """Each seed as a ring, and their mean with its standard deviation below it."""
    values = factor * np.array(score["values"])
    axes.plot(values, np.full(len(values), place - 0.13), "o", color="C0", fillstyle="none")
    deviation = None if score["deviation"] is None else factor * score["deviation"]
    axes.errorbar(factor * score["mean"], place + 0.13, xerr=deviation, fmt="|", color="C1", capsize=5, markersize=14)


def draw_differences(axes: Axes, places: np.ndarray, rows: Sequence[Mapping]) -> None:
    """The paired difference of each experiment's MAE to that of the first, with its interval."""
    axes.axvline(0, color="0.3", linestyle="--", linewidth=1.5)
    for place, row in zip(places, rows, strict=True):
        if row["difference"]:
            found = row["difference"]["mae"]
            ends = [[found["value"] - found["low"]], [found["high"] - found["value"]]]
            axes.errorbar(found["value"], place, xerr=np.maximum(ends, 0), fmt="o", color="C2", capsize=5)
