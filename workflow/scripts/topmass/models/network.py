"""Base class and output layer of all networks."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.data.batches import SparseBatch
from topmass.preprocessing.shards import ShardMeta


class Network(nn.Module):
    """A network that regresses the mass of jets from a sparse batch.

    Attributes:
        shards: Metadata that the shards of all jets have in common; first argument of all networks.
        n_outputs: Outputs per jet: one, or the quantiles; second argument of all networks.
        needs_hits: Whether `forward` uses the hits of a batch, and not the cached features alone.
        num_features: Features per jet from `compute_features`; 0 for none. They are computed once and cached.
        backbone: The part that `torch.compile` compiles. Its input shapes depend on the batch size alone.
    """

    needs_hits = True
    num_features = 0
    backbone: nn.Module

    def __init__(self, shards: ShardMeta, n_outputs: int) -> None:
        super().__init__()
        self.shards, self.n_outputs = shards, n_outputs

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
