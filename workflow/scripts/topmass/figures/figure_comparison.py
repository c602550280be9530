"""Figures that compare the errors of all experiments."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.evaluation.comparison import read_comparison
from topmass.plotting.style import LABEL, FigureData

PANELS = (("mae", "MAE (GeV)", 1), ("mre", "MRE (%)", 100), ("resolution", "Resolution (%)", 100))


def draw_comparison(scores: Path) -> dict[str, FigureData]:
    """Draw errors of each experiment with its difference to the first one (`comparison`), and its response by mass."""
    content = read_comparison(scores)
    return {
        "comparison": experiments_side_by_side(content["rows"], content["reference"], content["level"]),
        "responses": responses_side_by_side(content["rows"]),
    }


def experiments_side_by_side(rows: Sequence[Mapping], reference: str, level: float) -> FigureData:
    """Draw one line per experiment: each seed, mean and standard deviation, and the paired difference.

    Args:
        rows: Rows of a comparison, drawn from top to bottom.
        reference: Name of the experiment that the others are compared with.
        level: Confidence level of the intervals of the differences.
    """
    with_differences = any(row["difference"] for row in rows)
    columns = len(PANELS) + with_differences
    figure = Figure(figsize=(4.2 * columns + 2, 2.2 + 0.7 * len(rows)), layout="constrained")
    panels = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    for axes, (name, title, factor) in zip(panels, PANELS, strict=False):
        for y, row in enumerate(rows):
            draw_seeds(axes, y, row["scores"][name], factor)
        axes.set_xlabel(title)
    if with_differences:
        draw_differences(panels[-1], rows)
        panels[-1].set_xlabel(f"ΔMAE to {reference}\n(GeV, {level:.0%} interval)")
    panels[0].set_yticks(np.arange(len(rows)), [row["experiment"] for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    for axes in panels:
        axes.tick_params(axis="y", which="both", length=0)
        axes.grid(axis="x", color="0.9")
        axes.margins(x=0.12)
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    return FigureData(figure, comparison_frame(rows))


def comparison_frame(rows: Sequence[Mapping]) -> pd.DataFrame:
    """Return mean and deviation over seeds of each experiment and metric, and the difference to the first."""
    undefined = dict.fromkeys(("value", "low", "high"))
    lines = []
    for row in rows:
        for name, _, _ in PANELS:
            score, difference = row["scores"][name], (row["difference"] or {}).get(name, undefined)
            line = {"experiment": row["experiment"], "metric": name, "mean": score["mean"]}
            line |= {"deviation": score["deviation"], "difference": difference["value"]}
            lines.append(line | {"low": difference["low"], "high": difference["high"]})
    return pd.DataFrame(lines)


def draw_seeds(axes: Axes, y: float, score: Mapping, factor: float) -> None:
    """Draw each seed as a ring, and below the rings their mean with its standard deviation."""
    values = factor * np.array(score["values"])
    axes.plot(values, np.full(len(values), y - 0.13), "o", color="C0", fillstyle="none")
    deviation = None if score["deviation"] is None else factor * score["deviation"]
    axes.errorbar(factor * score["mean"], y + 0.13, xerr=deviation, fmt="|", color="C1", capsize=5, markersize=14)


def draw_differences(axes: Axes, rows: Sequence[Mapping]) -> None:
    """Draw the paired MAE difference of each experiment to the first, with its interval."""
    axes.axvline(0, color="0.3", linestyle="--", linewidth=1.5)
    for y, row in enumerate(rows):
        if row["difference"]:
            value, low, high = (row["difference"]["mae"][key] for key in ("value", "low", "high"))
            ends = np.maximum([[value - low], [high - value]], 0)
            axes.errorbar(value, y, xerr=ends, fmt="o", color="C2", capsize=5)


def responses_side_by_side(rows: Sequence[Mapping]) -> FigureData:
    """Draw the median of predicted / generated mass against the generated mass, one line per experiment.

    Error bars are standard deviations over seeds. The grey band is ± 10 %.
    """
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots()
    axes.axhspan(0.9, 1.1, color="0.93", zorder=0)
    axes.axhline(1, color="0.4", linewidth=1, zorder=0)
    points = response_frame(rows)
    # There are only five colours, so line style and marker change after every five experiments.
    styles = cycle([style for style in (("-", "o"), ("--", "s"), (":", "^")) for _ in range(5)])
    for (linestyle, marker), (experiment, curve) in zip(styles, points.groupby("experiment", sort=False), strict=False):
        centre = ((curve["mass_low"] + curve["mass_high"]) / 2).to_numpy()
        response, bars = curve["response"].to_numpy(), np.nan_to_num(curve["deviation"].to_numpy(float))
        axes.errorbar(centre, response, bars, marker=marker, linestyle=linestyle, capsize=4, label=experiment)
    axes.set_xlabel("Generated top mass (GeV)")
    axes.set_ylabel("Median of predicted / generated mass")
    axes.legend()
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    return FigureData(figure, points)


def response_frame(rows: Sequence[Mapping]) -> pd.DataFrame:
    """Return the response of each experiment in bins of the generated mass, with its deviation over seeds."""
    lines = []
    for row in rows:
        for part in row["by_mass"]:
            line = {"experiment": row["experiment"]} | dict(zip(("mass_low", "mass_high"), part["mass"], strict=True))
            lines.append(line | {"response": part["response"]["mean"], "deviation": part["response"]["deviation"]})
    return pd.DataFrame(lines)
