"""Split and flattening of the jets of a table."""

import numpy as np

from topmass.jets import JetBatch, JetTable
from topmass.preprocessing.shard_builder import ShardBuilder
from topmass.preprocessing.shards import Shard, ShardMeta
from topmass.preprocessing.split import SPLITS, assign_split
from topmass.preprocessing.statistics import Statistics


class Preprocessor:
    """Preprocessing of the jets of one table: split, flatten, and convert to shards."""

    def __init__(
        self, table: JetTable, known: Statistics, digest: str, zero_suppression: float, compression: str
    ) -> None:
        meta = ShardMeta(
            layers=tuple(known.layers),
            cells=tuple(known.cells),
            scales=tuple(known.scales),
            zero_suppression=zero_suppression,
            compression=compression,
            statistics=digest,
            position=table.position,
        )
        self.known, self.conversion = known, ShardBuilder(table.path, table.layers, meta)

    def empty_shard(self) -> Shard:
        """Return a shard without jets."""
        return self.conversion.empty_shard()

    def apply(self, batch: JetBatch) -> dict[str, Shard]:
        """Return the jets of a batch that flattening keeps, per split."""
        split, found = assign_split(self.known.sample, batch.event, self.known.split), {}
        for i, name in enumerate(SPLITS):
            jets = np.flatnonzero(split == i)
            weight = self.known.weights(name, batch.mass[jets], batch.pt[jets], batch.event[jets])
            found[name] = self.conversion.to_shard(batch, jets[weight > 0], weight[weight > 0])
        return found
