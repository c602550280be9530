"""Figure of the values of each layer before and after preprocessing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.console import log_info
from topmass.files import BadInput, file_digest
from topmass.jets import JetBatch, JetTable
from topmass.layers import Layer, find_layers
from topmass.plotting.style import LABEL, FigureData
from topmass.preprocessing.shards import Shard, require_statistics
from topmass.preprocessing.statistics import Statistics

BINS = 60
OUTER = 0.001
"""Fraction of the values of a signed layer beyond the outermost bins; these values count in the outermost bins."""


def draw_layers(tables: Sequence[Path], shards: Sequence[Path], statistics: Path) -> dict[str, FigureData]:
    """Draw layer values before preprocessing (first jets of the tables) and after it (first shard with jets)."""
    dataset = Statistics.load(statistics)
    layers = find_layers(dataset.layers, dataset.cells)
    jets, names = first_jets(tables)
    shard = first_shard(shards, file_digest(statistics))
    log_info(f"{len(jets):,} jets before, {len(shard):,} after")
    before = [jets.value[jets.layer == names.index(layer.name)] for layer in layers]
    after = [shard.arrays["value"][shard.arrays["layer"] == i].astype(np.float64) for i in range(len(layers))]
    return {"layer_values": layer_panels(layers, before, after, dataset.scales, (len(jets), len(shard)))}


def first_jets(tables: Sequence[Path]) -> tuple[JetBatch, list[str]]:
    """Load the first jets of the first table with jets, and its layer names; BadInput if there is no jet."""
    for table in map(JetTable, tables):
        for jets in table.batches():
            return jets, [layer.name for layer in table.layers]
    raise BadInput(f"{tables[0]}: no jet, nor in any other table of the sample")


def first_shard(paths: Sequence[Path], statistics: str) -> Shard:
    """Load the first shard with jets; BadInput if there is none, or if it was made with other statistics."""
    for path in paths:
        shard = Shard.load(path)
        require_statistics(path, shard.meta, statistics)
        if len(shard):
            return shard
    raise BadInput(f"{paths[0].parent}: no jet in any shard")


def layer_panels(
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
    tables = []
    for (left, right), layer, scale, physical, scaled in zip(panels, layers, scales, before, after, strict=True):
        scaled_edges = np.linspace(-1.02 if layer.signed else 0, 1.02, BINS + 1)
        for axes, when, values, edges, number in (
            (left, "before", physical, physical_bins(physical, layer), jets[0]),
            (right, "after", scaled, scaled_edges, jets[1]),
        ):
            heights = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / number
            draw_histogram(axes, heights, edges)
            bins = {"layer": layer.name, "when": when, "start": edges[:-1], "end": edges[1:]}
            tables.append(pd.DataFrame({**bins, "values_per_jet": heights}))
        label_values(left, right, layer, scale)
    panels[0, 0].set_title(f"before: {jets[0]:,} jets; dashed: scaled to 1", fontsize="small")
    panels[0, 1].set_title(f"after: {jets[1]:,} training jets", fontsize="small")
    figure.align_ylabels()
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left", fontsize="medium")
    return FigureData(figure, pd.concat(tables))


def physical_bins(values: np.ndarray, layer: Layer) -> np.ndarray:
    """Return edges `(BINS + 1,)`: logarithmic over all values; for a signed layer, linear and symmetric around zero."""
    magnitude = np.abs(values[values != 0])
    if not len(magnitude):
        return np.linspace(-1, 1, BINS + 1) if layer.signed else np.geomspace(0.1, 10, BINS + 1)
    if layer.signed:
        high = np.quantile(magnitude, 1 - OUTER)
        return np.linspace(-high, high, BINS + 1)
    return np.geomspace(magnitude.min() / 1.1, magnitude.max() * 1.1, BINS + 1)


def draw_histogram(axes: Axes, heights: np.ndarray, edges: np.ndarray) -> None:
    """Draw a histogram, on a logarithmic scale unless it is empty."""
    axes.stairs(heights, edges, fill=True, color="C0")
    axes.set_xlim(edges[0], edges[-1])
    if heights.any():
        axes.set_yscale("log")


def label_values(left: Axes, right: Axes, layer: Layer, scale: float) -> None:
    """Label the axes of both panels of a layer, and mark its scale."""
    for side in (-1, 1) if layer.signed else (1,):
        left.axvline(side * scale, color="C1", linestyle="--")
    if not layer.signed:
        left.set_xscale("log")
    unit = layer.unit if layer.signed else f"{layer.unit} / pixel"
    left.set(xlabel=f"{layer.title} ({unit})", ylabel="Values / jet")
    right.set_xlabel(f"{layer.title}, scaled")
