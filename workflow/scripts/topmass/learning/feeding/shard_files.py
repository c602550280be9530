"""The shards of a split on disk: how many jets they hold, and reading some of them into one set of tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from topmass.files import BadInput
from topmass.learning.feeding.batches import BYTES_PER_JET, BYTES_PER_NUMBER, BYTES_PER_VALUE, SparseJets, Taker
from topmass.preprocessing.shards import Shard, ShardMeta, opened

CHECKING = 8
"""Times its own size that a shard needs in memory while it is read and checked."""


@dataclass(frozen=True)
class ShardFiles:
    """The shards of a split, with the number of jets and of values in each, (S,); empty ones are left out.

    All of a jet is read, or what `taker` says.
    """

    paths: list[Path]
    meta: ShardMeta
    jets: np.ndarray
    values: np.ndarray
    taker: Taker | None = None

    def taken_by(self, taker: Taker | None) -> "ShardFiles":
        """The same, of which that is read what the taker says."""
        return replace(self, taker=taker)

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
        numbers = self.taker.numbers if self.taker else 0
        return self.jets * (BYTES_PER_JET + numbers * BYTES_PER_NUMBER) + self.kept * BYTES_PER_VALUE

    @property
    def kept(self) -> np.ndarray:
        """Values that are kept of each shard, (S,)."""
        return self.values if self.taker is None or self.taker.hits else np.zeros_like(self.values)

    def read(self, shards: Sequence[int], device: torch.device) -> SparseJets:
        """The jets of these shards, in this order; one shard is in memory beside them."""
        jets, values = int(self.jets[shards].sum()), int(self.kept[shards].sum())
        return SparseJets.build(map(self.load, shards), self.meta, jets, values, device, self.taker)

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
