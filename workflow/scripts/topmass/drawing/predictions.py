"""Figures of predicted against generated masses."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.drawing.style import LABEL

JETS_PER_BIN = 100
"""Wanted in each bin of mass on average, so that its quantiles mean something."""
FEWEST_BINS, MOST_BINS = 10, 40


def predicted_against_true(mass: np.ndarray, predicted: np.ndarray, notes: Sequence[str]) -> Figure:
    """Predicted mass in each bin of generated mass, both (N,) GeV, with these lines of text."""
    low, high = mass.min(), max(mass.max(), mass.min() + 1)
    bins = int(np.clip(len(mass) // JETS_PER_BIN, FEWEST_BINS, MOST_BINS))
    edges = np.linspace(low, high, bins + 1)
    below, above = np.quantile(predicted, (0.001, 0.999))
    rows = np.linspace(min(low, below), max(high, above), bins + 1)
    figure = Figure(figsize=(9.5, 9), layout="constrained")
    axes = figure.subplots()
    counts = np.histogram2d(mass, predicted, (edges, rows))[0]
    share = 100 * counts / (np.maximum(np.histogram(mass, edges)[0], 1)[:, None] * np.diff(rows))
    shown = np.ma.masked_equal(share.T, 0)
    picture = axes.pcolormesh(edges, rows, shown, cmap="Blues", vmin=0, rasterized=True)
    figure.colorbar(picture, ax=axes, label="Jets of the same generated mass (% / GeV)", aspect=30, pad=0.02)
    axes.plot([low, high], [low, high], "--", color="black", linewidth=1.5, label="predicted = generated")
    draw_quantiles(axes, mass, predicted, edges)
    axes.set(xlim=(low, high), ylim=(rows[0], rows[0] + 1.25 * (rows[-1] - rows[0])))
    axes.set_xlabel("Generated top mass (GeV)")
    axes.set_ylabel("Predicted top mass (GeV)")
    axes.legend(title=LABEL, alignment="left", loc="upper left")
    axes.text(0.97, 0.97, "\n".join(notes), transform=axes.transAxes, ha="right", va="top", linespacing=1.6)
    return figure


def draw_quantiles(axes: Axes, mass: np.ndarray, predicted: np.ndarray, edges: np.ndarray) -> None:
    """Median and 16–84 % interval of the predicted mass in each bin of mass with these edges."""
    bin_of = np.clip(np.searchsorted(edges, mass, side="right") - 1, 0, len(edges) - 2)
    filled = np.unique(bin_of)
    low, median, high = np.array([np.quantile(predicted[bin_of == i], (0.16, 0.5, 0.84)) for i in filled]).T
    middle = (edges[:-1] + edges[1:])[filled] / 2
    axes.plot(middle, median, color="C1", label="median")
    axes.plot(middle, low, ":", color="C1", label="16% and 84%")
    axes.plot(middle, high, ":", color="C1")
