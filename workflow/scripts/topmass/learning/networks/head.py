"""The last part of every network: from what it has found in a jet to its mass."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Head(nn.Linear):
    """One output (B, 1): the mass. An odd number of them: rising, with the mass itself in the middle.

    It stays in float32: bfloat16 would round a mass of 250 GeV to whole steps of 1 GeV.
    """

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(features, outputs)

    def forward(self, found: Tensor) -> Tensor:
        """(B, features) to (B, outputs)."""
        with torch.autocast(found.device.type, enabled=False):
            raw = super().forward(found.float())
            middle = self.out_features // 2
            # Steps away from the middle are never negative, so that outputs never cross.
            below, above = (functional.softplus(part) for part in (raw[:, :middle], raw[:, middle + 1 :]))
            mass = raw[:, middle : middle + 1]
            return torch.cat([mass - below.flip(1).cumsum(1).flip(1), mass, mass + above.cumsum(1)], dim=1)
