"""Shards of a split on disk: their sizes, and loading some of them into tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from topmass.data.batches import BYTES_PER_FEATURE, BYTES_PER_JET, BYTES_PER_VALUE, FeatureSpec, SparseJets
from topmass.files import BadInput
from topmass.preprocessing.shards import Shard, ShardMeta, open_shard
from topmass.progress import track

LOAD_FACTOR = 8
"""Memory that a shard needs while it is read and checked, as a multiple of its size."""


@dataclass(frozen=True)
class ShardFiles:
    """The S shards of a split that are not empty.

    Attributes:
        paths: Files.
        meta: Metadata of the shards.
        jets: Number of jets in each shard (S,).
        values: Number of hits in each shard (S,).
        spec: Data to load. Default: all hits and no features.
    """

    paths: list[Path]
    meta: ShardMeta
    jets: np.ndarray
    values: np.ndarray
    spec: FeatureSpec | None = None

    @classmethod
    def find(cls, paths: Sequence[Path], statistics: str) -> "ShardFiles":
        """Count jets and hits in each file, without reading the hits.

        Raises:
            BadInput: There are fewer than two jets, or the digest of the statistics differs from `statistics`.
        """
        counts = np.array([count_jets_and_values(path) for path in paths]).reshape(-1, 2)
        filled = np.flatnonzero(counts[:, 0])
        jets = counts[:, 0].sum()
        if jets < 2:
            raise BadInput(f"{paths[0].parent}: {jets or 'no'} jet in all shards: too few to train with")
        meta = Shard.load(paths[filled[np.argmin(counts[filled, 0])]]).meta
        paths = [paths[i] for i in filled]
        if meta.statistics != statistics:
            raise BadInput(f"{paths[0]}: a shard of other statistics: {meta.statistics} instead of {statistics}")
        return cls(paths, meta, counts[filled, 0], counts[filled, 1])

    @property
    def bytes(self) -> np.ndarray:
        """Memory of each loaded shard (S,), bytes."""
        features = self.spec.num_features if self.spec else 0
        return self.jets * (BYTES_PER_JET + features * BYTES_PER_FEATURE) + self.loaded_values * BYTES_PER_VALUE

    @property
    def loaded_values(self) -> np.ndarray:
        """Number of hits that are loaded from each shard (S,)."""
        return self.values if self.spec is None or self.spec.needs_hits else np.zeros_like(self.values)

    def read(self, shards: Sequence[int], device: torch.device, title: str | None = None) -> SparseJets:
        """Load the jets of the shards with these indices, with one more shard in memory at a time.

        With a title, the progress is displayed.
        """
        jets, values = int(self.jets[shards].sum()), int(self.loaded_values[shards].sum())
        loaded = map(self.load, shards)
        if title:
            loaded = track(loaded, title, "jet", jets, len)
        return SparseJets.build(loaded, self.meta, jets, values, device, self.spec)

    def load(self, index: int) -> Shard:
        """Load one shard; raise BadInput if it changed since `find`."""
        shard = Shard.load(self.paths[index], self.meta)
        if (len(shard), shard.offset[-1]) != (self.jets[index], self.values[index]):
            raise BadInput(f"{self.paths[index]}: changed since the training started; start it again")
        return shard


def count_jets_and_values(path: Path) -> tuple[int, int]:
    """Return the numbers of jets and hits in a shard, from its offsets alone; raise BadInput if it is no shard."""
    with open_shard(path) as file:
        offset = file["offset"]
        return len(offset) - 1, int(offset[-1])
