"""Which jets of a table go to which shard: the split of each, and what unbiasing leaves of it."""

import numpy as np

from topmass.jets import JetBatch, JetTable
from topmass.preprocessing.conversion import Conversion
from topmass.preprocessing.shards import Shard, ShardMeta
from topmass.preprocessing.split import SPLITS, split_of
from topmass.preprocessing.statistics import Statistics


class Preprocessing:
    """The preprocessing of one table's jets: unbias, split, and convert."""

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
        self.known, self.conversion = known, Conversion(table.path, table.layers, meta)

    def nothing(self) -> Shard:
        """A shard without a jet."""
        return self.conversion.nothing()

    def apply(self, batch: JetBatch) -> dict[str, Shard]:
        """The jets of a batch that unbiasing keeps, by split."""
        split, found = split_of(self.known.sample, batch.event, self.known.split), {}
        for i, name in enumerate(SPLITS):
            jets = np.flatnonzero(split == i)
            weight = self.known.weights(name, batch.mass[jets], batch.pt[jets], batch.event[jets])
            found[name] = self.conversion.to_shard(batch, jets[weight > 0], weight[weight > 0])
        return found
