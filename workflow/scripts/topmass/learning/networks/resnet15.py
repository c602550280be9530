"""The network of the reference: fifteen convolutions with bias, no normalisation, no dropout."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut, which is a 1 × 1 convolution where the channels change."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        same = channels_in == channels_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H / stride, W / stride)."""
        return functional.relu(self.second(functional.relu(self.first(x))) + self.shortcut(x))


class ResNet15(nn.Module):
    """Image and position of a jet to its mass in units of the mass scale.

    The layout is that of A. Ismail, "Fantastic Google Summer of Code Experiences" (2021) and its public code:
    86,243 parameters for three layers. The first convolution pads by one pixel only (125 → 121).
    With `pool` above 1 (not in the reference) squares of so many pixels a side are added up first; with no
    `coordinates` of a jet there is its image alone.
    """

    def __init__(self, layers: int, pool: int = 1, coordinates: int = 2) -> None:
        super().__init__()
        self.pool = pool
        self.stem = nn.Conv2d(layers, 16, 7, padding=1)
        self.blocks = nn.Sequential(
            Block(16, 16),
            Block(16, 16),
            Block(16, 16),
            Block(16, 32, stride=2),
            Block(32, 32),
            Block(32, 32),
            Block(32, 32),
        )
        self.head = nn.Linear(32 + coordinates, 1)

    def forward(self, image: Tensor, position: Tensor) -> Tensor:
        """`image` (B, C, H, W) and `position` (B, coordinates), iphi / 360 and ieta / 170, to (B,)."""
        if self.pool > 1:
            image = functional.avg_pool2d(image, self.pool, ceil_mode=True, divisor_override=1)
        x = functional.max_pool2d(functional.relu(self.stem(image)), 2)
        x = self.blocks(x).amax(dim=(2, 3))
        # The head stays in float32: bfloat16 would round a mass of 250 GeV to whole steps of 1 GeV.
        with torch.autocast(x.device.type, enabled=False):
            return self.head(torch.cat([x.float(), position], dim=1)).squeeze(1)
