"""What is done to each jet on its way from a table to a shard."""

import numpy as np

from topmass.jets import JetBatch, JetTable, take_values
from topmass.preprocessing.measuring import find_positions
from topmass.preprocessing.scaling import scale_values
from topmass.preprocessing.shards import PER_JET, SPARSE, Shard, ShardMeta
from topmass.preprocessing.split import SPLITS, split_of
from topmass.preprocessing.statistics import Statistics


class Preprocessing:
    """The preprocessing of one table's jets: unbias, split, choose layers, suppress, scale, clip."""

    def __init__(
        self, table: JetTable, known: Statistics, digest: str, zero_suppression: float, compression: str
    ) -> None:
        positions = find_positions(table, known.layers)
        self.known, self.zero_suppression, self.compression = known, zero_suppression, compression
        self.number = np.full(256, len(positions), np.uint8)
        self.number[positions] = np.arange(len(positions))
        self.scales = np.array(known.scales, np.float32)
        self.cells = np.array([table.layers[position].cell for position in positions])
        self.meta = ShardMeta(
            layers=tuple(known.layers),
            cells=tuple(known.cells),
            scales=tuple(known.scales),
            zero_suppression=zero_suppression,
            compression=compression,
            statistics=digest,
            position=table.position,
        )

    def nothing(self) -> Shard:
        """A shard without a jet."""
        arrays = {name: np.zeros(0, dtype) for name, dtype in (SPARSE | PER_JET).items()}
        return Shard(np.zeros(1, np.int64), arrays, self.meta)

    def apply(self, batch: JetBatch) -> dict[str, Shard]:
        """The jets of a batch that unbiasing keeps, by split."""
        split, found = split_of(self.known.sample, batch.event, self.known.split), {}
        for i, name in enumerate(SPLITS):
            jets = np.flatnonzero(split == i)
            weight = self.known.weights(name, batch.mass[jets], batch.pt[jets], batch.event[jets])
            found[name] = self.to_shard(batch, jets[weight > 0], weight[weight > 0])
        return found

    def to_shard(self, batch: JetBatch, jets: np.ndarray, weight: np.ndarray) -> Shard:
        """The chosen layers of these jets, numbered in the dataset's order, suppressed, scaled and clipped."""
        offset, values = take_values(batch.offset, jets)
        layer = self.number[batch.layer[values]]
        chosen = np.flatnonzero(layer < len(self.scales))
        layer, values = layer[chosen], values[chosen]
        scaled, kept = scale_values(batch.value[values], self.scales[layer], self.zero_suppression, self.compression)
        chosen, values, layer = chosen[kept], values[kept], layer[kept]
        offset = np.searchsorted(chosen, offset)
        arrays = {"pixel": batch.pixel[values], "layer": layer, "value": scaled[kept], "weight": weight}
        arrays |= {name: getattr(batch, name)[jets] for name in PER_JET if name != "weight"}
        shard = Shard(
            offset, {name: arrays[name].astype(dtype) for name, dtype in (SPARSE | PER_JET).items()}, self.meta
        )
        return shard if tuple(self.cells) == self.meta.cells else spread(shard, self.cells)


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
