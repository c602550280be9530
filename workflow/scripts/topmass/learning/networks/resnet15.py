"""The network of the reference: fifteen convolutions with bias, no normalisation, no dropout."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.learning.feeding.batches import SparseBatch, scatter
from topmass.learning.networks.head import Head
from topmass.learning.networks.network import Network
from topmass.preprocessing.shards import ShardMeta

LARGEST_POOL = 8
"""As workflow/schemas/config.schema.yaml has it: larger pixels leave the network nothing to look at."""


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


class ResNet15(Network):
    """The images of jets and their positions to their masses.

    `pool` pixels a side are added up to one first; 1 is the reference. ValueError if that is too many.
    """

    def __init__(self, shards: ShardMeta, outputs: int, pool: int = 1) -> None:
        super().__init__(shards, outputs)
        if not isinstance(pool, int) or not 1 <= pool <= LARGEST_POOL:
            raise ValueError(f"pool {pool} instead of 1 to {LARGEST_POOL}")
        self.body = Convolutions(len(shards.layers), pool, shards.coordinates, outputs)

    def forward(self, batch: SparseBatch) -> Tensor:
        """As `Network.forward`."""
        return self.body(scatter(batch, self.shards), batch.position)


class Convolutions(nn.Module):
    """Image and position of a jet to its mass in units of the mass scale.

    The layout is that of A. Ismail, "Fantastic Google Summer of Code Experiences" (2021) and its public code:
    86,243 parameters for three layers. The first convolution pads by one pixel only (125 → 121).
    With `pool` above 1 (not in the reference) squares of so many pixels a side are added up first; with no
    `coordinates` of a jet there is its image alone.
    """

    def __init__(self, layers: int, pool: int = 1, coordinates: int = 2, outputs: int = 1) -> None:
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
        self.head = Head(32 + coordinates, outputs)

    def forward(self, image: Tensor, position: Tensor) -> Tensor:
        """`image` (B, C, H, W) and `position` (B, coordinates), iphi / 360 and ieta / 170, to (B, outputs)."""
        if self.pool > 1:
            image = functional.avg_pool2d(image, self.pool, ceil_mode=True, divisor_override=1)
        x = functional.max_pool2d(functional.relu(self.stem(image)), 2)
        x = self.blocks(x).amax(dim=(2, 3))
        return self.head(torch.cat([x.float(), position], dim=1))
