"""Dense images made sparse, and sparse ones dense."""

from collections.abc import Sequence

import numpy as np

from topmass.jets import SPARSE, JetBatch
from topmass.layers import SIDE, Layer


class NotUniform(Exception):
    """A cell of a coarse layer has pixels of different values."""


def to_sparse(images: np.ndarray, layers: Sequence[Layer]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Offsets (N + 1,) and non-zero values of images (N, layers, SIDE, SIDE), as in a JetBatch but in their own type.

    A cell of a layer coarser than pixels becomes one value: that of each of its pixels. NotUniform if they differ.
    """
    cells = np.array([layer.cell for layer in layers])
    flat = images.reshape(-1)
    # Six times as fast as np.flatnonzero of the numbers themselves.
    at = np.flatnonzero(flat != 0)
    # Division by a constant, which np.divmod does not know of, is several times as fast.
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
        # Jets that nobody can use need not be uniform, but keep what makes them so.
        tested = np.ones(len(coarse), bool) if finite.all() else ~np.isin(jet[coarse], jet[coarse][~finite])
        # Each pixel is as the first of its cell, and there are as many as full cells have.
        same = flat[at[coarse] - below * SIDE - right] == value[coarse]
        if not same[tested].all() or (side[first & tested] ** 2).sum() != np.count_nonzero(tested):
            raise NotUniform
        pixel[coarse] = row // side * (SIDE // side) + column // side
        kept = np.ones(len(at), bool)
        kept[coarse[finite & ~first]] = False
        jet, layer, pixel, value = jet[kept], layer[kept], pixel[kept], value[kept]
    offset = np.searchsorted(jet, np.arange(len(images) + 1))
    return offset, {"pixel": pixel.astype(SPARSE["pixel"]), "layer": layer.astype(SPARSE["layer"]), "value": value}


def to_dense(batch: JetBatch, layers: Sequence[Layer]) -> np.ndarray:
    """Images (N, layers, SIDE, SIDE), float32; each pixel of a coarse cell has the value of the cell."""
    images = np.zeros((len(batch), len(layers), SIDE, SIDE), np.float32)
    jet = np.repeat(np.arange(len(batch)), np.diff(batch.offset))
    for i, layer in enumerate(layers):
        chosen = batch.layer == i
        row, column = np.divmod(batch.pixel[chosen].astype(int), SIDE // layer.cell)
        for below in range(layer.cell):
            for right in range(layer.cell):
                images[jet[chosen], i, row * layer.cell + below, column * layer.cell + right] = batch.value[chosen]
    return images
