"""Base class and common layers of networks."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.data.batches import SparseBatch
from topmass.preprocessing.shards import ShardMeta

CLIP_SIGMA = 5.0
"""Normalised features are clipped at this many standard deviations."""
PRIOR_MEAN_MASS = 0.585
"""Mean mass of jets that are flat from 85 to 500 GeV, in units of `MASS_SCALE`: the output before training."""


class Network(nn.Module):
    """A network that regresses the mass of jets from a sparse batch.

    Attributes:
        shards: Metadata that the shards of all jets have in common; first argument of all networks.
        n_outputs: Outputs per jet: one, or the quantiles; second argument of all networks.
        needs_hits: Whether `forward` uses the hits of a batch, and not the cached features alone.
        num_features: Features per jet from `compute_features`; 0 for none. They are computed once and cached.
        feature_parity: Reflections, `ETA`, `PHI` or both, that change the sign of each feature (num_features,) uint8.
        backbone: The part that `torch.compile` compiles. Its input shapes depend on the batch size alone.
    """

    needs_hits = True
    backbone: nn.Module
    feature_parity: Tensor

    def __init__(self, shards: ShardMeta, n_outputs: int, feature_parity: Sequence[int] = ()) -> None:
        super().__init__()
        self.shards, self.n_outputs = shards, n_outputs
        self.register_features(feature_parity)

    def register_features(self, parity: Sequence[int]) -> None:
        """Set the number of cached features and their parity."""
        self.num_features = len(parity)
        self.register_buffer("feature_parity", torch.tensor(parity, dtype=torch.uint8), persistent=False)

    def compute_features(self, batch: SparseBatch) -> Tensor:
        """Compute features (B, `num_features`) float32 from the hits of a batch."""
        return batch.position.new_zeros(batch.position.shape[0], 0)

    def cached_features(self, batch: SparseBatch) -> Tensor:
        """Return the cached features of a batch, or compute them."""
        return batch.features if batch.features.shape[1] == self.num_features else self.compute_features(batch)

    def fit_input_norm(self, batch: SparseBatch) -> None:
        """Fit the normalisation of the inputs to some training jets."""

    def forward(self, batch: SparseBatch) -> Tensor:
        """Return masses (B, n_outputs) float32 in units of `MASS_SCALE`, ascending along the outputs."""
        raise NotImplementedError


class Head(nn.Linear):
    """Linear layer whose outputs ascend: one output is the mass; an odd number of them has the mass in the centre.

    It stays in float32: bfloat16 would round a mass of 250 GeV to whole steps of 1 GeV.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (B, out_features) of features (B, in_features)."""
        with torch.autocast(x.device.type, enabled=False):
            raw = super().forward(x.float())
            centre = self.out_features // 2
            # Steps away from the centre are never negative, so that outputs never cross.
            below, above = (functional.softplus(part) for part in (raw[:, :centre], raw[:, centre + 1 :]))
            mass = raw[:, centre : centre + 1]
            return torch.cat([mass - below.flip(1).cumsum(1).flip(1), mass, mass + above.cumsum(1)], dim=1)


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
