"""The numbers of all jets of a split as one array."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from topmass.learning.feeding.batches import SparseJets
from topmass.learning.feeding.cutting import cut
from topmass.learning.feeding.sources import InMemory
from topmass.learning.kinematics.hits import eta_of, find_hits
from topmass.learning.kinematics.quantities import JET, SUMS, Quantity, given
from topmass.learning.kinematics.sums import sums
from topmass.learning.team import Team
from topmass.preprocessing.shards import PER_JET, Shard, ShardMeta

AT_ONCE = 512
"""Jets a batch: their columns are some 10 MB, which a cache has room for."""


@dataclass(frozen=True)
class Table:
    """N jets of shards like `meta`: `numbers` (N, K) float32 by `quantities`, `known` the arrays of PER_JET, (N,)."""

    meta: ShardMeta
    quantities: tuple[Quantity, ...]
    numbers: np.ndarray
    known: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.numbers)


def tabulate(shards: Iterable[Shard], threads: int) -> Table:
    """What is known of all jets of one or more shards, in their order: sums over the image first, then the rest.

    One shard is in memory at a time. Each of the threads takes batches of its own, with one thread of torch.
    """
    numbers, known = [], []
    with ThreadPoolExecutor(threads) as pool:
        for shard in shards:
            meta = shard.meta
            source = InMemory(SparseJets.of(shard, torch.device("cpu")))
            batches = (each.sparse for each in cut(source.in_order(), AT_ONCE, Team()))
            of_image = pool.map(lambda batch, meta=meta: sums(find_hits(batch, meta), meta).numpy(), batches)
            numbers.append(np.hstack([np.concatenate(list(of_image)), numbers_of_jets(shard)]))
            known.append({name: shard.arrays[name] for name in PER_JET})
    joined = {name: np.concatenate([arrays[name] for arrays in known]) for name in PER_JET}
    return Table(meta, given(SUMS, meta) + given(JET, meta), np.concatenate(numbers), joined)


def numbers_of_jets(shard: Shard) -> np.ndarray:
    """What is known of the jets (N, K) without their images, by `given(JET, meta)`; NaN where it is not."""
    eta = eta_of(shard.arrays["ieta"])
    known = shard.arrays | {"eta": eta, "abs_eta": np.abs(eta)}
    return np.stack([known[each.name] for each in given(JET, shard.meta)], axis=1).astype("f4")
