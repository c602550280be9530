"""Predicted against generated masses."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.plotting.style import LABEL, FigureData

JETS_PER_BIN = 100
"""Mean number of jets per mass bin, large enough for quantiles."""
MIN_BINS, MAX_BINS = 10, 40


def predicted_against_true(mass: np.ndarray, predicted: np.ndarray, notes: Sequence[str]) -> FigureData:
    """Draw the density of the predicted mass in bins of the generated mass.

    Args:
        mass: Generated masses `(N,)`, GeV.
        predicted: Predicted masses `(N,)`, GeV.
        notes: Lines of text in the corner.
    """
    low, high = mass.min(), max(mass.max(), mass.min() + 1)
    bins = int(np.clip(len(mass) // JETS_PER_BIN, MIN_BINS, MAX_BINS))
    edges = np.linspace(low, high, bins + 1)
    smallest, largest = np.quantile(predicted, (0.001, 0.999))
    rows = np.linspace(min(low, smallest), max(high, largest), bins + 1)
    figure = Figure(figsize=(9.5, 9), layout="constrained")
    axes = figure.subplots()
    counts = np.histogram2d(mass, predicted, (edges, rows))[0]
    density = 100 * counts / (np.maximum(np.histogram(mass, edges)[0], 1)[:, None] * np.diff(rows))
    masked = np.ma.masked_equal(density.T, 0)
    picture = axes.pcolormesh(edges, rows, masked, cmap="Blues", vmin=0, rasterized=True)
    figure.colorbar(picture, ax=axes, label="Jets of the same generated mass (% / GeV)", aspect=30, pad=0.02)
    axes.plot([low, high], [low, high], "--", color="black", linewidth=1.5, label="predicted = generated")
    quantiles = draw_quantiles(axes, mass, predicted, edges)
    axes.set(xlim=(low, high), ylim=(rows[0], rows[0] + 1.25 * (rows[-1] - rows[0])))
    axes.set_xlabel("Generated top mass (GeV)")
    axes.set_ylabel("Predicted top mass (GeV)")
    axes.legend(title=LABEL, alignment="left", loc="upper left")
    axes.text(0.97, 0.97, "\n".join(notes), transform=axes.transAxes, ha="right", va="top", linespacing=1.6)
    return FigureData(figure, density_table(edges, rows, density, quantiles))


def draw_quantiles(axes: Axes, mass: np.ndarray, predicted: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Draw median and 16–84 % interval of the predicted mass per mass bin; return them, `(3, bins)`, low to high."""
    index = np.clip(np.searchsorted(edges, mass, side="right") - 1, 0, len(edges) - 2)
    filled = np.unique(index)
    quantiles = np.full((3, len(edges) - 1), np.nan)
    quantiles[:, filled] = np.array([np.quantile(predicted[index == i], (0.16, 0.5, 0.84)) for i in filled]).T
    low, median, high = quantiles[:, filled]
    centre = (edges[:-1] + edges[1:])[filled] / 2
    axes.plot(centre, median, color="C1", label="median")
    axes.plot(centre, low, ":", color="C1", label="16% and 84%")
    axes.plot(centre, high, ":", color="C1")
    return quantiles


def density_table(edges: np.ndarray, rows: np.ndarray, density: np.ndarray, quantiles: np.ndarray) -> pd.DataFrame:
    """Return the density of each cell (% / GeV) with the quantiles (GeV) of its bin of generated mass."""
    low, median, high = quantiles
    generated = {"mass_start": edges[:-1], "mass_end": edges[1:]}
    generated = pd.DataFrame(generated | {"quantile_16": low, "median": median, "quantile_84": high})
    predicted = pd.DataFrame({"predicted_start": rows[:-1], "predicted_end": rows[1:]})
    return generated.merge(predicted, how="cross").assign(density=density.ravel())
