"""The numbers of all jets of a split as one array."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from topmass.learning.feeding.batches import SparseBatch, SparseJets
from topmass.learning.kinematics.hits import eta_of, find_hits
from topmass.learning.kinematics.quantities import JET, SUBJETS, SUMS, Quantity, given
from topmass.learning.kinematics.subjets import subjets
from topmass.learning.kinematics.sums import sums
from topmass.learning.kinematics.towers import find_towers
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

    def of(self, quantities: Sequence[Quantity]) -> np.ndarray:
        """These quantities of all jets; the very numbers of the table if they are all, in its order."""
        if tuple(quantities) == self.quantities:
            return self.numbers
        return self.numbers[:, [self.quantities.index(each) for each in quantities]]


def tabulate(shards: Iterable[Shard], with_subjets: bool) -> Table:
    """What is known of all jets of one or more shards, in their order: from the image first, then the rest.

    From the image are sums over it and, if wanted, the numbers of subjets. One shard is in memory at a time.
    """
    numbers, known = [], []
    for shard in shards:
        meta = shard.meta
        seen = SparseJets.of(shard, CPU).seen(lambda batch, meta=meta: of_images(batch, meta, with_subjets))
        numbers.append(np.hstack([seen.numpy(), numbers_of_jets(shard)]))
        known.append({name: shard.arrays[name] for name in PER_JET})
    joined = {name: np.concatenate([arrays[name] for arrays in known]) for name in PER_JET}
    quantities = given(SUMS + (SUBJETS if with_subjets else ()) + JET, meta)
    return Table(meta, quantities, joined_rows(numbers), joined)


def of_images(batch: SparseBatch, meta: ShardMeta, with_subjets: bool) -> Tensor:
    """What the images of a batch show, (B, K) float32: sums over them and, if wanted, the numbers of subjets."""
    hits = find_hits(batch, meta)
    found = sums(hits, meta)
    return torch.cat([found, subjets(find_towers(hits), meta)], dim=1) if with_subjets else found


def joined_rows(parts: list[np.ndarray]) -> np.ndarray:
    """The rows of all parts; these are taken from the list one by one, so that no more than one is there twice."""
    whole = np.empty((sum(map(len, parts)), parts[0].shape[1]), parts[0].dtype)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return whole


def numbers_of_jets(shard: Shard) -> np.ndarray:
    """What is known of the jets (N, K) without their images, by `given(JET, meta)`; NaN where it is not."""
    eta = eta_of(shard.arrays["ieta"])
    known = shard.arrays | {"eta": eta, "abs_eta": np.abs(eta)}
    return np.stack([known[each.name] for each in given(JET, shard.meta)], axis=1).astype("f4")
