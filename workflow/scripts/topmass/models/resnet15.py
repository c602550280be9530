"""Network of the reference: 15 convolutions with bias, no normalisation, no dropout."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.data.batches import SparseBatch, to_dense_images
from topmass.models.network import Head, Network
from topmass.preprocessing.shards import ShardMeta

MAX_DOWNSAMPLE = 8
"""Same limit as in workflow/schemas/config.schema.yaml: larger pixels leave too few for the network."""


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions with a shortcut, which is a 1 × 1 convolution if channels or stride change."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        same = channels_in == channels_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels_out, H / stride, W / stride) of an input (B, channels_in, H, W)."""
        return functional.relu(self.second(functional.relu(self.first(x))) + self.shortcut(x))


class ResNet15(Network):
    """Network of the reference: regression of the mass from image and position.

    Args:
        downsample: Side, in pixels, of the squares that are summed to one pixel first. The reference has 1.

    Raises:
        ValueError: `downsample` is not from 1 to `MAX_DOWNSAMPLE`.
    """

    def __init__(self, shards: ShardMeta, n_outputs: int, downsample: int = 1) -> None:
        super().__init__(shards, n_outputs)
        if not isinstance(downsample, int) or not 1 <= downsample <= MAX_DOWNSAMPLE:
            raise ValueError(f"downsample {downsample} instead of 1 to {MAX_DOWNSAMPLE}")
        self.backbone = ResNetBody(len(shards.layers), downsample, shards.coordinates, n_outputs)

    def forward(self, batch: SparseBatch) -> Tensor:
        """See `Network.forward`."""
        return self.backbone(to_dense_images(batch, self.shards), batch.position)


class ResNetBody(nn.Module):
    """Layers of `ResNet15`, from dense images.

    The layout is that of A. Ismail, "Fantastic Google Summer of Code Experiences" (2021), and its public code: 86,243
    parameters for three layers. The first convolution pads by one pixel only (125 → 121).
    """

    def __init__(self, layers: int, downsample: int = 1, coordinates: int = 2, n_outputs: int = 1) -> None:
        super().__init__()
        self.downsample = downsample
        self.stem = nn.Conv2d(layers, 16, 7, padding=1)
        self.blocks = nn.Sequential(
            ResidualBlock(16, 16),
            ResidualBlock(16, 16),
            ResidualBlock(16, 16),
            ResidualBlock(16, 32, stride=2),
            ResidualBlock(32, 32),
            ResidualBlock(32, 32),
            ResidualBlock(32, 32),
        )
        self.head = Head(32 + coordinates, n_outputs)

    def forward(self, image: Tensor, position: Tensor) -> Tensor:
        """Return outputs (B, n_outputs) in units of the mass scale.

        Args:
            image: Layers of each jet (B, C, H, W).
            position: iphi / 360 and ieta / 170 of each jet (B, 2), or (B, 0) for a network of images alone.
        """
        if self.downsample > 1:
            image = functional.avg_pool2d(image, self.downsample, ceil_mode=True, divisor_override=1)
        x = functional.max_pool2d(functional.relu(self.stem(image)), 2)
        x = self.blocks(x).amax(dim=(2, 3))
        return self.head(torch.cat([x.float(), position], dim=1))
