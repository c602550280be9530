"""Network `kinematics`: a multilayer perceptron of jet features."""

import torch
from torch import Tensor, nn

from topmass.data.batches import SparseBatch
from topmass.features.feature_registry import MOMENT_FEATURES, SUBJET_FEATURES, available_features
from topmass.features.hits import Hits, decode_hits
from topmass.features.image_moments import compute_image_moments
from topmass.features.subjets import compute_subjet_features
from topmass.features.towers import Towers, build_towers
from topmass.layers import ETA
from topmass.models.network import InputNorm, Network, mlp, zero_init_head
from topmass.preprocessing.shards import ShardMeta


class Kinematics(Network):
    """Multilayer perceptron of normalised jet features.

    Args:
        width: Features per hidden layer.
        depth: Hidden layers, each followed by GELU.
    """

    needs_hits = False

    def __init__(self, shards: ShardMeta, n_outputs: int, width: int = 192, depth: int = 4) -> None:
        super().__init__(shards, n_outputs, jet_feature_parity(shards))
        self.input_norm = InputNorm(self.num_features)
        self.backbone = nn.Sequential(*mlp(self.num_features, width, depth), zero_init_head(width, n_outputs))

    def compute_features(self, batch: SparseBatch) -> Tensor:
        """See `Network.compute_features`."""
        hits = decode_hits(batch, self.shards)
        return jet_features(batch, hits, build_towers(hits), self.shards)

    def fit_input_norm(self, batch: SparseBatch) -> None:
        """Fit mean and standard deviation of each feature. See `Network.fit_input_norm`."""
        self.input_norm.fit(self.cached_features(batch))

    def forward(self, batch: SparseBatch) -> Tensor:
        """See `Network.forward`."""
        return self.backbone(self.input_norm(self.cached_features(batch)))


def jet_feature_parity(shards: ShardMeta) -> list[int]:
    """Return the reflections that change the sign of each feature from `jet_features`; see `Network`."""
    features = available_features(MOMENT_FEATURES + SUBJET_FEATURES, shards)
    return [feature.odd for feature in features] + [0, ETA][: shards.coordinates]


def jet_features(batch: SparseBatch, hits: Hits, towers: Towers, shards: ShardMeta) -> Tensor:
    """Return features (B, K) of jets: signed logarithms of image moments and subjet features, and the position."""
    features = torch.cat([compute_image_moments(hits, shards), compute_subjet_features(towers, shards)], dim=1)
    return torch.cat([features.sign() * features.abs().log1p(), batch.position], dim=1)
