"""The shards of a split on disk: how many jets they hold, and reading some of them into one set of tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from topmass.files import BadInput
from topmass.learning.feeding.batches import BYTES_PER_JET, BYTES_PER_VALUE, SparseJets
from topmass.preprocessing.shards import Shard, ShardMeta, opened

CHECKING = 8
"""Times its own size that a shard needs in memory while it is read and checked."""


@dataclass(frozen=True)
class ShardFiles:
    """The shards of a split, with the number of jets and of values in each, (S,); empty ones are left out."""

    paths: list[Path]
    meta: ShardMeta
    jets: np.ndarray
    values: np.ndarray

    @classmethod
    def find(cls, paths: Sequence[Path], statistics: str) -> "ShardFiles":
        """Look into each file without reading its values. BadInput unless there are two jets made with `statistics`."""
        counts = np.array([count(path) for path in paths]).reshape(-1, 2)
        kept = np.flatnonzero(counts[:, 0])
        jets = counts[:, 0].sum()
        if jets < 2:
            raise BadInput(f"{Path(paths[0]).parent}: {jets or 'no'} jet in all shards: too few to train with")
        meta = Shard.load(paths[kept[np.argmin(counts[kept, 0])]]).meta
        if meta.statistics != statistics:
            raise BadInput(f"{paths[kept[0]]}: a shard of other statistics: {meta.statistics} instead of {statistics}")
        return cls([Path(paths[i]) for i in kept], meta, counts[kept, 0], counts[kept, 1])

    @property
    def bytes(self) -> np.ndarray:
        """What each shard takes in memory, (S,)."""
        return self.jets * BYTES_PER_JET + self.values * BYTES_PER_VALUE

    def read(self, shards: Sequence[int], device: torch.device) -> SparseJets:
        """The jets of these shards, in this order; one shard is in memory beside them."""
        jets, values = int(self.jets[shards].sum()), int(self.values[shards].sum())
        return SparseJets.build(map(self.load, shards), self.meta, jets, values, device)

    def load(self, number: int) -> Shard:
        """One shard; BadInput if it is another than was found."""
        shard = Shard.load(self.paths[number], self.meta)
        if (len(shard), shard.offset[-1]) != (self.jets[number], self.values[number]):
            raise BadInput(f"{self.paths[number]}: changed since the training started; start it again")
        return shard


def count(path: Path) -> tuple[int, int]:
    """Numbers of jets and values in a shard, from its offsets alone; BadInput if there are none."""
    with opened(path) as file:
        offset = file["offset"]
        return len(offset) - 1, int(offset[-1])
