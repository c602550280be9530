"""Figures of predicted against generated masses."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.drawing.style import LABEL

JETS_PER_BIN = 100
"""Wanted in each bin of mass on average, so that its quantiles mean something."""
FEWEST_BINS, MOST_BINS = 8, 40


def predicted_against_true(mass: np.ndarray, predicted: np.ndarray, notes: Sequence[str]) -> Figure:
    """Distribution of the predicted mass in each bin of generated mass, both (N,) GeV, with lines of text beside it."""
    low, high = mass.min(), mass.max()
    bins = int(np.clip(len(mass) // JETS_PER_BIN, FEWEST_BINS, MOST_BINS))
    edges = np.linspace(low, high, bins + 1)
    below, above = np.quantile(predicted, (0.001, 0.999))
    rows = np.linspace(min(low, below), max(high, above), bins + 1)
    figure = Figure(figsize=(9.5, 8))
    axes = figure.subplots()
    counts = np.histogram2d(mass, predicted, (edges, rows))[0]
    total = np.maximum(np.histogram(mass, edges)[0], 1)
    share = 100 * counts / (total[:, None] * np.diff(rows))
    picture = axes.pcolormesh(edges, rows, share.T, cmap="cividis", vmin=0, rasterized=True)
    figure.colorbar(picture, ax=axes, label="Jets of the same true mass (% / GeV)")
    axes.plot([low, high], [low, high], "--", color="white", linewidth=1.5, label="predicted = true")
    draw_quantiles(axes, mass, predicted, edges)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(rows[0], rows[-1]))
    axes.set_xlabel("Generated top mass (GeV)")
    axes.set_ylabel("Predicted top mass (GeV)")
    axes.set_title(LABEL, loc="left")
    return figure


def draw_quantiles(axes: Axes, mass: np.ndarray, predicted: np.ndarray, edges: np.ndarray) -> None:
    """Median and 16–84 % interval of the predicted mass in each bin of mass with these edges."""
    bin_of = np.clip(np.searchsorted(edges, mass, side="right") - 1, 0, len(edges) - 2)
    filled = np.unique(bin_of)
    low, median, high = np.array([np.quantile(predicted[bin_of == i], (0.16, 0.5, 0.84)) for i in filled]).T
    middle = (edges[:-1] + edges[1:])[filled] / 2
    axes.plot(middle, median, "-", label="median")
    axes.plot(middle, low, ":")
    axes.plot(middle, high, ":")
