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


@dataclass(frozen=True)
class FeatureTable:
    """Features and jet arrays of N jets.

    Attributes:
        meta: Metadata of the shards.
        features: The K features, in the order of the columns of `values`.
        values: Feature values (N, K) float32.
        jet_arrays: The arrays of `SHARD_JET_ARRAYS`, (N,) each.
    """

    meta: ShardMeta
    features: tuple[Feature, ...]
    values: np.ndarray
    jet_arrays: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.values)

    def select(self, features: Sequence[Feature]) -> np.ndarray:
        """Return the columns of these features (N, k); no copy if they are those of the table, in its order."""
        if tuple(features) == self.features:
            return self.values
        return self.values[:, [self.features.index(feature) for feature in features]]


def build_feature_table(shards: Iterable[Shard], with_subjets: bool) -> FeatureTable:
    """Compute the features of all jets of one or more shards, in their order, with one shard in memory at a time.

    The columns are image moments, then (`with_subjets`) subjet features, then `JET_FEATURES`.
    """
    values, jet_arrays = [], []
    for shard in shards:
        meta = shard.meta
        from_image = SparseJets.of(shard, torch.device("cpu")).map_batches(
            lambda batch, meta=meta: image_features(batch, meta, with_subjets)
        )
        values.append(np.hstack([from_image.numpy(), jet_level_features(shard)]))
        jet_arrays.append([shard.arrays[name] for name in SHARD_JET_ARRAYS])
    joined = map(np.concatenate, zip(*jet_arrays, strict=True))
    features = available_features(MOMENT_FEATURES + (SUBJET_FEATURES if with_subjets else ()) + JET_FEATURES, meta)
    return FeatureTable(meta, features, concat_rows(values), dict(zip(SHARD_JET_ARRAYS, joined, strict=True)))


def image_features(batch: SparseBatch, meta: ShardMeta, with_subjets: bool) -> Tensor:
    """Compute image moments and, if requested, subjet features (B, K) float32 of a batch."""
    hits = decode_hits(batch, meta)
    moments = compute_image_moments(hits, meta)
    return torch.cat([moments, compute_subjet_features(build_towers(hits), meta)], dim=1) if with_subjets else moments


def concat_rows(parts: list[np.ndarray]) -> np.ndarray:
    """Concatenate arrays (n, K) along the rows.

    The list is emptied on the way, so that at most one part is in memory twice.
    """
    joined = np.empty((sum(map(len, parts)), parts[0].shape[1]), parts[0].dtype)
    end = len(joined)
    while parts:
        part = parts.pop()
        joined[end - len(part) : end] = part
        end -= len(part)
    return joined


def jet_level_features(shard: Shard) -> np.ndarray:
    """Return features (N, K) float32 that require no image, in the order of `available_features(JET_FEATURES, meta)`.

    Unknown values are NaN.
    """
    eta = eta_from_ieta(shard.arrays["ieta"])
    arrays = shard.arrays | {"eta": eta, "abs_eta": np.abs(eta)}
    features = available_features(JET_FEATURES, shard.meta)
    return np.stack([arrays[feature.name] for feature in features], axis=1).astype("f4")
