"""The numbers of all jets of a split as one array."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from topmass.learning.feeding.batches import SparseJets
from topmass.learning.kinematics.hits import eta_of, find_hits
from topmass.learning.kinematics.quantities import JET, SUMS, Quantity, given
from topmass.learning.kinematics.sums import sums
from topmass.preprocessing.shards import PER_JET, Shard, ShardMeta

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Table:
    """N jets of shards like `meta`: `numbers` (N, K) float32 by `quantities`, `known` the arrays of PER_JET, (N,)."""

    meta: ShardMeta
    quantities: tuple[Quantity, ...]
    numbers: np.ndarray
    known: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.numbers)


def tabulate(shards: Iterable[Shard]) -> Table:
    """What is known of all jets of one or more shards, in their order: sums over the image first, then the rest.

    One shard is in memory at a time.
    """
    numbers, known = [], []
    for shard in shards:
        meta = shard.meta
        of_image = SparseJets.of(shard, CPU).seen(lambda batch, meta=meta: sums(find_hits(batch, meta), meta))
        numbers.append(np.hstack([of_image.numpy(), numbers_of_jets(shard)]))
        known.append({name: shard.arrays[name] for name in PER_JET})
    joined = {name: np.concatenate([arrays[name] for arrays in known]) for name in PER_JET}
    return Table(meta, given(SUMS, meta) + given(JET, meta), np.concatenate(numbers), joined)


def numbers_of_jets(shard: Shard) -> np.ndarray:
    """What is known of the jets (N, K) without their images, by `given(JET, meta)`; NaN where it is not."""
    eta = eta_of(shard.arrays["ieta"])
    known = shard.arrays | {"eta": eta, "abs_eta": np.abs(eta)}
    return np.stack([known[each.name] for each in given(JET, shard.meta)], axis=1).astype("f4")
