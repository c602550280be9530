"""Network `kinematics`: a multilayer perceptron of jet features."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from topmass.data.batches import SparseBatch
from topmass.features.feature_registry import MOMENT_FEATURES, SUBJET_FEATURES, available_features
from topmass.features.hits import Hits, decode_hits
from topmass.features.image_moments import compute_image_moments
from topmass.features.subjets import compute_subjet_features
from topmass.features.towers import Towers, build_towers
from topmass.models.network import Head, Network
from topmass.preprocessing.shards import ShardMeta

CLIP_SIGMA = 5.0
"""Normalised features are clipped at this many standard deviations."""
PRIOR_MEAN_MASS = 0.585
"""Mean mass of jets that are flat from 85 to 500 GeV, in units of `MASS_SCALE`: the output before training."""


class Kinematics(Network):
    """Multilayer perceptron of normalised jet features.

    Args:
        width: Features per hidden layer.
        depth: Hidden layers, each followed by GELU.
    """

    needs_hits = False

    def __init__(self, shards: ShardMeta, n_outputs: int, width: int = 192, depth: int = 4) -> None:
        super().__init__(shards, n_outputs)
        self.num_features = n_jet_features(shards)
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


def n_jet_features(shards: ShardMeta) -> int:
    """Return the number of features from `jet_features`."""
    return len(available_features(MOMENT_FEATURES + SUBJET_FEATURES, shards)) + shards.coordinates


def jet_features(batch: SparseBatch, hits: Hits, towers: Towers, shards: ShardMeta) -> Tensor:
    """Return features (B, K) of jets: signed logarithms of image moments and subjet features, and the position."""
    features = torch.cat([compute_image_moments(hits, shards), compute_subjet_features(towers, shards)], dim=1)
    return torch.cat([features.sign() * features.abs().log1p(), batch.position], dim=1)


class InputNorm(nn.Module):
    """Normalisation of features (…, K) to zero mean and unit standard deviation, with clipping."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("std", torch.ones(n_features))

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Compute mean and standard deviation of features (N, K); N = 0 changes nothing."""
        if len(features):
            self.mean.copy_(features.double().mean(0))
            # The offset avoids a division by zero for constant features, which have no information.
            self.std.copy_(features.double().std(0, correction=0) + 1e-3)

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised features, of the same shape."""
        return ((features - self.mean) / self.std).clamp(-CLIP_SIGMA, CLIP_SIGMA)


def mlp(in_features: int, width: int, depth: int) -> nn.Sequential:
    """Return `depth` linear layers with GELU, from (…, in_features) to (…, width)."""
    widths = [in_features, *[width] * depth]
    return nn.Sequential(*(layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.GELU())))


def zero_init_head(in_features: int, n_outputs: int) -> Head:
    """Return a head that predicts `PRIOR_MEAN_MASS` before training."""
    head = Head(in_features, n_outputs)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    nn.init.constant_(head.bias[n_outputs // 2], PRIOR_MEAN_MASS)
    return head
