"""Features of all jets of a split as one array."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from topmass.data.batches import SparseBatch, SparseJets
from topmass.features.feature_registry import (
    JET_FEATURES,
    MOMENT_FEATURES,
    SUBJET_FEATURES,
    Feature,
    available_features,
)
from topmass.features.hits import decode_hits, eta_from_ieta
from topmass.features.image_moments import compute_image_moments
from topmass.features.subjets import compute_subjet_features
from topmass.features.towers import build_towers
from topmass.preprocessing.shards import SHARD_JET_ARRAYS, Shard, ShardMeta

TABLE_DEVICE = torch.device("cpu")


@dataclass(frozen=True)
class FeatureTable:
    """Features and jet arrays of N jets.

    Attributes:
        meta: Metadata of the shards.
        quantities: The K features, in the order of the columns of `numbers`.
        numbers: Feature values (N, K) float32.
        known: The arrays of `SHARD_JET_ARRAYS`, (N,) each.
    """

    meta: ShardMeta
    quantities: tuple[Feature, ...]
    numbers: np.ndarray
    known: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.numbers)

    def of(self, quantities: Sequence[Feature]) -> np.ndarray:
        """Return the columns of these quantities (N, k); no copy if they are those of the table, in its order."""
        if tuple(quantities) == self.quantities:
            return self.numbers
        return self.numbers[:, [self.quantities.index(each) for each in quantities]]


def build_feature_table(shards: Iterable[Shard], with_subjets: bool) -> FeatureTable:
    """Compute the features of all jets of the shards, in their order.

    One shard is in memory at a time.

    Args:
        shards: One or more shards.
        with_subjets: Include the subjet features.

    Returns:
        Table with image moments, then subjet features, then `JET_FEATURES`.
    """
    numbers, known = [], []
    for shard in shards:
        meta = shard.meta
        seen = SparseJets.of(shard, TABLE_DEVICE).map_batches(
            lambda batch, meta=meta: image_features(batch, meta, with_subjets)
        )
        numbers.append(np.hstack([seen.numpy(), jet_level_features(shard)]))
        known.append({name: shard.arrays[name] for name in SHARD_JET_ARRAYS})
    joined = {name: np.concatenate([arrays[name] for arrays in known]) for name in SHARD_JET_ARRAYS}
    quantities = available_features(MOMENT_FEATURES + (SUBJET_FEATURES if with_subjets else ()) + JET_FEATURES, meta)
    return FeatureTable(meta, quantities, concat_rows(numbers), joined)


def image_features(batch: SparseBatch, meta: ShardMeta, with_subjets: bool) -> Tensor:
    """Compute image moments and, if requested, subjet features (B, K) float32 of a batch."""
    hits = decode_hits(batch, meta)
    found = compute_image_moments(hits, meta)
    return torch.cat([found, compute_subjet_features(build_towers(hits), meta)], dim=1) if with_subjets else found


def concat_rows(parts: list[np.ndarray]) -> np.ndarray:
    """Concatenate arrays (n, K) along the rows.

    The list is emptied on the way, so that at most one part is in memory twice.
    """
    whole = np.empty((sum(map(len, parts)), parts[0].shape[1]), parts[0].dtype)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return whole


def jet_level_features(shard: Shard) -> np.ndarray:
    """Return features (N, K) float32 that require no image, in the order of `available_features(JET_FEATURES, meta)`.

    Unknown values are NaN.
    """
    eta = eta_from_ieta(shard.arrays["ieta"])
    known = shard.arrays | {"eta": eta, "abs_eta": np.abs(eta)}
    return np.stack([known[each.name] for each in available_features(JET_FEATURES, shard.meta)], axis=1).astype("f4")
