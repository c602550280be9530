"""The chart of a benchmark: what was reached, as a multiple of what was aimed at."""

from collections.abc import Mapping

from matplotlib.figure import Figure


def reached_of_aimed(ratios: Mapping[str, tuple[float, float]], title: str) -> Figure:
    """A bar for each name: what was reached over its aim, and the spread of that."""
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
    return figure
