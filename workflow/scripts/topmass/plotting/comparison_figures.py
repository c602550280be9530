"""Figures that compare several experiments."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.plotting.style import LABEL, FigureData

COMPARISON_PANELS = (("mae", "MAE (GeV)", 1), ("mre", "MRE (%)", 100), ("resolution", "Resolution (%)", 100))


def experiments_side_by_side(rows: Sequence[Mapping], reference: str, level: float) -> FigureData:
    """Draw one line per experiment: each seed, mean and standard deviation, and the paired difference.

    Args:
        rows: Rows of a comparison, drawn from top to bottom.
        reference: Name of the experiment that the others are compared with.
        level: Confidence level of the intervals of the differences.
    """
    differing = any(row["difference"] for row in rows)
    figure = Figure(
        figsize=(4.2 * (len(COMPARISON_PANELS) + differing) + 2, 2.2 + 0.7 * len(rows)), layout="constrained"
    )
    panels = figure.subplots(1, len(COMPARISON_PANELS) + differing, sharey=True, squeeze=False)[0]
    places = np.arange(len(rows))
    for axes, (name, title, factor) in zip(panels, COMPARISON_PANELS, strict=False):
        for place, row in zip(places, rows, strict=True):
            draw_seeds(axes, place, row["scores"][name], factor)
        axes.set_xlabel(title)
    if differing:
        draw_differences(panels[-1], places, rows)
        panels[-1].set_xlabel(f"ΔMAE to {reference}\n(GeV, {level:.0%} interval)")
    panels[0].set_yticks(places, [row["experiment"] for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    for axes in panels:
        axes.tick_params(axis="y", which="both", length=0)
        axes.grid(axis="x", color="0.9")
        axes.margins(x=0.12)
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    return FigureData(figure, numbers_of(rows))


def responses_side_by_side(rows: Sequence[Mapping]) -> FigureData:
    """Draw the median of predicted / generated mass against the generated mass, one line per experiment.

    Error bars are standard deviations over seeds. The grey band is ± 10 %.
    """
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes, points = figure.subplots(), []
    axes.axhspan(0.9, 1.1, color="0.93", zorder=0)
    axes.axhline(1, color="0.4", linewidth=1, zorder=0)
    for number, row in enumerate(rows):
        found = [(*each["mass"], each["response"]["mean"], each["response"]["deviation"]) for each in row["by_mass"]]
        low, high, mean, deviation = np.array(found, dtype=float).T
        # There are only five colours, so line style and marker change after every five experiments.
        style, marker = (("-", "o"), ("--", "s"), (":", "^"))[number // 5 % 3]
        bars = np.nan_to_num(deviation)
        axes.errorbar((low + high) / 2, mean, bars, marker=marker, linestyle=style, capsize=4, label=row["experiment"])
        points += [(row["experiment"], *point) for point in zip(low, high, mean, deviation, strict=True)]
    axes.set_xlabel("Generated top mass (GeV)")
    axes.set_ylabel("Median of predicted / generated mass")
    axes.legend()
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    names = ("experiment", "mass_low", "mass_high", "response", "deviation")
    return FigureData(figure, dict(zip(names, zip(*points, strict=True), strict=True)))


def numbers_of(rows: Sequence[Mapping]) -> dict[str, Sequence]:
    """Return mean and deviation over seeds of each experiment and metric, and the difference to the first."""
    nothing = dict.fromkeys(("value", "low", "high"), np.nan)
    found = []
    for row in rows:
        for name, _, _ in COMPARISON_PANELS:
            score, paired = row["scores"][name], (row["difference"] or {}).get(name, nothing)
            deviation = np.nan if score["deviation"] is None else score["deviation"]
            found.append((row["experiment"], name, score["mean"], deviation, *(paired[end] for end in nothing)))
    names = ("experiment", "metric", "mean", "deviation", "difference", "low", "high")
    return dict(zip(names, zip(*found, strict=True), strict=True))


def draw_seeds(axes: Axes, place: int, score: Mapping, factor: float) -> None:
    """Draw each seed as a ring, and below the rings their mean with its standard deviation."""
    values = factor * np.array(score["values"])
    axes.plot(values, np.full(len(values), place - 0.13), "o", color="C0", fillstyle="none")
    deviation = None if score["deviation"] is None else factor * score["deviation"]
    axes.errorbar(factor * score["mean"], place + 0.13, xerr=deviation, fmt="|", color="C1", capsize=5, markersize=14)


def draw_differences(axes: Axes, places: np.ndarray, rows: Sequence[Mapping]) -> None:
    """Draw the paired MAE difference of each experiment to the first, with its interval."""
    axes.axvline(0, color="0.3", linestyle="--", linewidth=1.5)
    for place, row in zip(places, rows, strict=True):
        if row["difference"]:
            found = row["difference"]["mae"]
            ends = [[found["value"] - found["low"]], [found["high"] - found["value"]]]
            axes.errorbar(found["value"], place, xerr=np.maximum(ends, 0), fmt="o", color="C2", capsize=5)
