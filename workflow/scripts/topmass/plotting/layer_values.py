"""Histograms of the layer values before and after preprocessing."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.layers import Layer
from topmass.plotting.style import LABEL, FigureData

BINS = 60
OUTER = 0.001
"""Fraction of the values of a signed layer beyond the outermost bins; these values count in the outermost bins."""


def layer_values(
    layers: Sequence[Layer], before: Sequence[np.ndarray], after: Sequence[np.ndarray], scales: Sequence[float],
    jets: tuple[int, int],
) -> FigureData:  # fmt: skip
    """Draw two panels per layer: its non-zero values before and after preprocessing.

    Args:
        layers: Layers, from top to bottom.
        before: Values of each layer in its unit.
        after: Preprocessed values of each layer.
        scales: Value of each layer that preprocessing maps to 1.
        jets: Numbers of jets before and after, by which the counts are divided.
    """
    figure = Figure(figsize=(13, 2.9 * len(layers) + 1), layout="constrained")
    panels = figure.subplots(len(layers), 2, squeeze=False)
    rows = []
    for (left, right), layer, scale, *values in zip(panels, layers, scales, before, after, strict=True):
        edges = physical_bins(values[0], layer), np.linspace(-1.02 if layer.signed else 0, 1.02, BINS + 1)
        for axes, when, *given in zip((left, right), ("before", "after"), values, edges, jets, strict=True):
            rows += [(layer.name, when, *numbers) for numbers in draw_values(axes, *given)]
        label_values(left, right, layer, scale)
    panels[0, 0].set_title(f"before: {jets[0]:,} jets; dashed: what becomes 1", fontsize="small")
    panels[0, 1].set_title(f"after: {jets[1]:,} training jets", fontsize="small")
    figure.align_ylabels()
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left", fontsize="medium")
    names = ("layer", "when", "start", "end", "values_per_jet")
    return FigureData(figure, dict(zip(names, zip(*rows, strict=True), strict=True)))


def physical_bins(values: np.ndarray, layer: Layer) -> np.ndarray:
    """Return edges `(BINS + 1,)`: logarithmic over all values; for a signed layer, linear and symmetric around zero."""
    magnitude = np.abs(values[values != 0])
    if not len(magnitude):
        return np.linspace(-1, 1, BINS + 1) if layer.signed else np.geomspace(0.1, 10, BINS + 1)
    if layer.signed:
        high = np.quantile(magnitude, 1 - OUTER)
        return np.linspace(-high, high, BINS + 1)
    return np.geomspace(magnitude.min() / 1.1, magnitude.max() * 1.1, BINS + 1)


def draw_values(axes: Axes, values: np.ndarray, edges: np.ndarray, jets: int) -> Iterator[tuple]:
    """Draw a histogram of values per jet; return the edges and the height of each bin."""
    heights = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / jets
    axes.stairs(heights, edges, fill=True, color="C0")
    axes.set_xlim(edges[0], edges[-1])
    if heights.any():
        axes.set_yscale("log")
    return zip(edges[:-1], edges[1:], heights, strict=True)


def label_values(left: Axes, right: Axes, layer: Layer, scale: float) -> None:
    """Label the axes of both panels of a layer, and mark its scale."""
    for side in (-1, 1) if layer.signed else (1,):
        left.axvline(side * scale, color="C1", linestyle="--")
    if not layer.signed:
        left.set_xscale("log")
    unit = layer.unit if layer.signed else f"{layer.unit} / pixel"
    left.set(xlabel=f"{layer.title} ({unit})", ylabel="Values / jet")
    right.set_xlabel(f"{layer.title}, scaled")
