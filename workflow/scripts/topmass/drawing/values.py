"""Figures of the values of the layers."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.drawing.style import LABEL, Drawn
from topmass.layers import Layer

BINS = 60
OUTER = 0.001
"""Share of the values of a signed layer that lies beyond the outermost bins, and is counted in them."""


def layer_values(
    layers: Sequence[Layer], before: Sequence[np.ndarray], after: Sequence[np.ndarray], scales: Sequence[float],
    jets: tuple[int, int],
) -> Drawn:  # fmt: skip
    """A row of two panels a layer: its non-zero values in its unit, and what preprocessing has made of them.

    `scales` are what becomes 1; `jets` the numbers of jets before and after, which the counts are divided by.
    """
    figure = Figure(figsize=(13, 2.9 * len(layers) + 1), layout="constrained")
    panels = figure.subplots(len(layers), 2, squeeze=False)
    rows = []
    for i, (layer, row) in enumerate(zip(layers, panels, strict=True)):
        ends = (-1.02, 1.02) if layer.signed else (0, 1.02)
        bins = {"before": physical_bins(before[i], layer), "after": np.linspace(*ends, BINS + 1)}
        for axes, (when, edges), values, number in zip(row, bins.items(), (before[i], after[i]), jets, strict=True):
            heights = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / number
            draw_values(axes, edges, heights)
            rows += [(layer.name, when, *each) for each in zip(edges[:-1], edges[1:], heights, strict=True)]
        for side in (-1, 1) if layer.signed else (1,):
            row[0].axvline(side * scales[i], color="C1", linestyle="--")
        if not layer.signed:
            row[0].set_xscale("log")
        unit = layer.unit if layer.signed else f"{layer.unit} / pixel"
        row[0].set(xlabel=f"{layer.title} ({unit})", ylabel="Values / jet")
        row[1].set_xlabel(f"{layer.title}, scaled")
    panels[0, 0].set_title(f"before: {jets[0]:,} jets; dashed: what becomes 1", fontsize="small")
    panels[0, 1].set_title(f"after: {jets[1]:,} training jets", fontsize="small")
    figure.align_ylabels()
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left", fontsize="medium")
    names = ("layer", "when", "start", "end", "values_per_jet")
    return Drawn(figure, dict(zip(names, zip(*rows, strict=True), strict=True)))


def physical_bins(values: np.ndarray, layer: Layer) -> np.ndarray:
    """Edges (BINS + 1,): logarithmic around all values; where signed, linear around zero and most values."""
    magnitude = np.abs(values[values != 0])
    if not len(magnitude):
        return np.linspace(-1, 1, BINS + 1) if layer.signed else np.geomspace(0.1, 10, BINS + 1)
    if layer.signed:
        high = np.quantile(magnitude, 1 - OUTER)
        return np.linspace(-high, high, BINS + 1)
    return np.geomspace(magnitude.min() / 1.1, magnitude.max() * 1.1, BINS + 1)


def draw_values(axes: Axes, edges: np.ndarray, heights: np.ndarray) -> None:
    """One histogram, on a logarithmic axis where there is anything to show."""
    axes.stairs(heights, edges, fill=True, color="C0")
    axes.set_xlim(edges[0], edges[-1])
    if heights.any():
        axes.set_yscale("log")
