"""Conversion of jets from a table or a user file to shards."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.files import BadInput
from topmass.jets import JetBatch, take_values
from topmass.layers import Layer
from topmass.preprocessing.scaling import normalize
from topmass.preprocessing.shards import SHARD_HIT_ARRAYS, SHARD_JET_ARRAYS, Shard, ShardMeta


class ShardBuilder:
    """Converter of jets to shards: select layers, suppress, scale, clip.

    Args:
        path: File of the jets, for messages.
        layers: Layers of the file, in its order.
        meta: Metadata of the shards.

    Raises:
        BadInput: If the file lacks a layer, or has it in smaller cells than the shards.
    """

    def __init__(self, path: Path, layers: Sequence[Layer], meta: ShardMeta) -> None:
        positions = find_positions(path, layers, meta.layers)
        self.meta = meta
        self.number = np.full(256, len(positions), np.uint8)
        self.number[positions] = np.arange(len(positions))
        self.scales = np.array(meta.scales, np.float32)
        self.cells = np.array([layers[position].cell for position in positions])
        for name, cell, largest in zip(meta.layers, self.cells, meta.cells, strict=True):
            if cell < largest:
                raise BadInput(f"{path}: {name} has cells of {cell} pixel a side, and those of {largest} are wanted")

    def empty_shard(self) -> Shard:
        """Return a shard without jets."""
        arrays = {name: np.zeros(0, dtype) for name, dtype in (SHARD_HIT_ARRAYS | SHARD_JET_ARRAYS).items()}
        return Shard(np.zeros(1, np.int64), arrays, self.meta)

    def to_shard(self, batch: JetBatch, jets: np.ndarray, weight: np.ndarray) -> Shard:
        """Return a shard of the jets at these indices (M,), with weights (M,) and the layers of the dataset."""
        offset, hits = take_values(batch.offset, jets)
        layer = self.number[batch.layer[hits]]
        selected = np.flatnonzero(layer < len(self.scales))
        layer, hits = layer[selected], hits[selected]
        settings = self.meta.zero_suppression, self.meta.compression
        scaled, mask = normalize(batch.value[hits], self.scales[layer], *settings)
        selected, hits, layer = selected[mask], hits[mask], layer[mask]
        offset = np.searchsorted(selected, offset)
        arrays = {"pixel": batch.pixel[hits], "layer": layer, "value": scaled[mask], "weight": weight}
        arrays |= {name: getattr(batch, name)[jets] for name in SHARD_JET_ARRAYS if name != "weight"}
        dtypes = SHARD_HIT_ARRAYS | SHARD_JET_ARRAYS
        shard = Shard(offset, {name: arrays[name].astype(dtype) for name, dtype in dtypes.items()}, self.meta)
        return shard if tuple(self.cells) == self.meta.cells else expand_cells(shard, self.cells)


def find_positions(path: Path, layers: Sequence[Layer], required: Sequence[str]) -> list[int]:
    """Return the positions of the required layers among those of a file; raise BadInput if one is missing."""
    names = [layer.name for layer in layers]
    missing = [name for name in required if name not in names]
    if missing:
        raise BadInput(f"{path}: no layer '{missing[0]}'; it has {', '.join(names)}; wanted are {', '.join(required)}")
    return [names.index(name) for name in required]


def expand_cells(shard: Shard, cells: np.ndarray) -> Shard:
    """Expand a shard with coarse cells to the smaller cells of its metadata.

    A table may contain a layer in coarse cells that another table of the dataset contains pixel by pixel. `cells` are
    the sides of the coarse cells of each layer, pixels.
    """
    layer, pixel = shard.arrays["layer"], shard.arrays["pixel"].astype(np.int64)
    fine = np.array(shard.meta.cells)
    times = (cells // fine)[layer]
    copies = times**2
    offset = np.concatenate([[0], np.cumsum(copies)])
    hit = np.repeat(np.arange(len(layer)), copies)
    row, column = np.divmod(np.arange(offset[-1]) - offset[hit], times[hit])
    coarse_row, coarse_column = np.divmod(pixel, (shard.meta.side // cells)[layer])
    side = (shard.meta.side // fine)[layer]
    arrays = {name: array[hit] if name in SHARD_HIT_ARRAYS else array for name, array in shard.arrays.items()}
    fine_pixel = ((coarse_row * times)[hit] + row) * side[hit] + (coarse_column * times)[hit] + column
    arrays["pixel"] = fine_pixel.astype(SHARD_HIT_ARRAYS["pixel"])
    return Shard(offset[shard.offset], arrays, shard.meta)
