"""Conversion between dense and sparse images."""

from collections.abc import Sequence

import numpy as np

from topmass.jets import HIT_COLUMNS, JetBatch
from topmass.layers import SIDE, Layer


class NotUniform(Exception):
    """Different pixel values within one cell of a coarse layer."""


def to_sparse(images: np.ndarray, layers: Sequence[Layer]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Convert images to offsets (N + 1,) and sparse arrays by name; each cell of a coarse layer becomes one value.

    Args:
        images: Dense images (N, layers, SIDE, SIDE); the sparse `value` has their type.
        layers: Layers of the images, in order.

    Raises:
        NotUniform: The pixels of a cell differ.
    """
    cells = np.array([layer.cell for layer in layers])
    flat = images.reshape(-1)
    # Six times as fast as np.flatnonzero(flat).
    at = np.flatnonzero(flat != 0)
    # Division by a constant is several times as fast as np.divmod, which does not optimise it.
    image = at // (SIDE * SIDE)
    jet = image // len(layers)
    layer, pixel = image - jet * len(layers), at - image * (SIDE * SIDE)
    value, cell = flat[at], cells[layer]
    coarse = np.flatnonzero(cell > 1)
    if len(coarse):
        side = cell[coarse]
        row = pixel[coarse] // SIDE
        column = pixel[coarse] - row * SIDE
        below, right = row % side, column % side
        first, finite = (below == 0) & (right == 0), np.isfinite(value[coarse])
        # Jets with non-finite values are not tested. They keep these values, so that later checks reject them.
        tested = np.ones(len(coarse), bool) if finite.all() else ~np.isin(jet[coarse], jet[coarse][~finite])
        # Each pixel equals the first one of its cell, and the number of pixels is that of complete cells.
        same = flat[at[coarse] - below * SIDE - right] == value[coarse]
        if not same[tested].all() or (side[first & tested] ** 2).sum() != np.count_nonzero(tested):
            raise NotUniform
        pixel[coarse] = row // side * (SIDE // side) + column // side
        mask = np.ones(len(at), bool)
        mask[coarse[finite & ~first]] = False
        jet, layer, pixel, value = jet[mask], layer[mask], pixel[mask], value[mask]
    offset = np.searchsorted(jet, np.arange(len(images) + 1))
    return offset, {
        "pixel": pixel.astype(HIT_COLUMNS["pixel"]),
        "layer": layer.astype(HIT_COLUMNS["layer"]),
        "value": value,
    }


def to_dense(batch: JetBatch, layers: Sequence[Layer]) -> np.ndarray:
    """Return images (N, layers, SIDE, SIDE), float32; all pixels of a coarse cell have the value of the cell."""
    images = np.zeros((len(batch), len(layers), SIDE, SIDE), np.float32)
    jet = np.repeat(np.arange(len(batch)), np.diff(batch.offset))
    for i, layer in enumerate(layers):
        hits = batch.layer == i
        row, column = np.divmod(batch.pixel[hits].astype(int), SIDE // layer.cell)
        for below in range(layer.cell):
            for right in range(layer.cell):
                images[jet[hits], i, row * layer.cell + below, column * layer.cell + right] = batch.value[hits]
    return images
