"""What is done to each jet on its way from a table, or from somebody's file, to a shard."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.files import BadInput
from topmass.jets import JetBatch, take_values
from topmass.layers import Layer
from topmass.preprocessing.scaling import scale_values
from topmass.preprocessing.shards import PER_JET, SPARSE, Shard, ShardMeta


class Conversion:
    """Jets of a file with these layers made those of shards with this metadata: choose layers, suppress, scale, clip.

    BadInput if the file lacks a layer, or has it in smaller cells than the shards.
    """

    def __init__(self, path: Path, layers: Sequence[Layer], meta: ShardMeta) -> None:
        positions = find_positions(path, layers, meta.layers)
        self.meta = meta
        self.number = np.full(256, len(positions), np.uint8)
        self.number[positions] = np.arange(len(positions))
        self.scales = np.array(meta.scales, np.float32)
        self.cells = np.array([layers[position].cell for position in positions])
        for name, cell, wanted in zip(meta.layers, self.cells, meta.cells, strict=True):
            if cell < wanted:
                raise BadInput(f"{path}: {name} has cells of {cell} pixel a side, and those of {wanted} are wanted")

    def nothing(self) -> Shard:
        """A shard without a jet."""
        arrays = {name: np.zeros(0, dtype) for name, dtype in (SPARSE | PER_JET).items()}
        return Shard(np.zeros(1, np.int64), arrays, self.meta)

    def to_shard(self, batch: JetBatch, jets: np.ndarray, weight: np.ndarray) -> Shard:
        """The chosen layers of these jets, numbered in the dataset's order, suppressed, scaled and clipped."""
        offset, values = take_values(batch.offset, jets)
        layer = self.number[batch.layer[values]]
        chosen = np.flatnonzero(layer < len(self.scales))
        layer, values = layer[chosen], values[chosen]
        settings = self.meta.zero_suppression, self.meta.compression
        scaled, kept = scale_values(batch.value[values], self.scales[layer], *settings)
        chosen, values, layer = chosen[kept], values[kept], layer[kept]
        offset = np.searchsorted(chosen, offset)
        arrays = {"pixel": batch.pixel[values], "layer": layer, "value": scaled[kept], "weight": weight}
        arrays |= {name: getattr(batch, name)[jets] for name in PER_JET if name != "weight"}
        shard = Shard(
            offset, {name: arrays[name].astype(dtype) for name, dtype in (SPARSE | PER_JET).items()}, self.meta
        )
        return shard if tuple(self.cells) == self.meta.cells else spread(shard, self.cells)


def find_positions(path: Path, layers: Sequence[Layer], wanted: Sequence[str]) -> list[int]:
    """Positions of the wanted layers among those of a file; BadInput with both lists if it lacks one."""
    names = [layer.name for layer in layers]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise BadInput(f"{path}: no layer '{missing[0]}'; it has {', '.join(names)}; wanted are {', '.join(wanted)}")
    return [names.index(name) for name in wanted]


def spread(shard: Shard, cells: np.ndarray) -> Shard:
    """The same images with the smaller cells of the shard's metadata, given a shard with cells of these sides, pixels.

    A table may have a layer in coarse cells that another table of the dataset has pixel by pixel.
    """
    layer, pixel = shard.arrays["layer"], shard.arrays["pixel"].astype(np.int64)
    fine = np.array(shard.meta.cells)
    times = (cells // fine)[layer]
    copies = times**2
    offset = np.concatenate([[0], np.cumsum(copies)])
    here = np.repeat(np.arange(len(layer)), copies)
    row, column = np.divmod(np.arange(offset[-1]) - offset[here], times[here])
    coarse_row, coarse_column = np.divmod(pixel, (shard.meta.side // cells)[layer])
    side = (shard.meta.side // fine)[layer]
    arrays = {name: each[here] if name in SPARSE else each for name, each in shard.arrays.items()}
    moved = ((coarse_row * times)[here] + row) * side[here] + (coarse_column * times)[here] + column
    arrays["pixel"] = moved.astype(SPARSE["pixel"])
    return Shard(offset[shard.offset], arrays, shard.meta)
