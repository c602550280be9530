"""Output layer of all networks."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Head(nn.Linear):
    """Linear layer whose outputs ascend: one output is the mass; an odd number of them has the mass in the centre.

    It stays in float32: bfloat16 would round a mass of 250 GeV to whole steps of 1 GeV.
    """

    def __init__(self, in_features: int, n_outputs: int) -> None:
        super().__init__(in_features, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (B, n_outputs) of features (B, in_features)."""
        with torch.autocast(x.device.type, enabled=False):
            raw = super().forward(x.float())
            centre = self.out_features // 2
            # Steps away from the centre are never negative, so that outputs never cross.
            below, above = (functional.softplus(part) for part in (raw[:, :centre], raw[:, centre + 1 :]))
            mass = raw[:, centre : centre + 1]
            return torch.cat([mass - below.flip(1).cumsum(1).flip(1), mass, mass + above.cumsum(1)], dim=1)
