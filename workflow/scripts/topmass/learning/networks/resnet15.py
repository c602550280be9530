"""The network of the reference: fifteen convolutions with bias, no normalisation, no dropout."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.learning.feeding.batches import SparseBatch, scatter
from topmass.learning.networks.head import Head
from topmass.learning.networks.network import Network
from topmass.preprocessing.scaling import restore_values
from topmass.preprocessing.shards import ShardMeta

LARGEST_POOL = 8
"""As workflow/schemas/config.schema.yaml has it: larger pixels leave the network nothing to look at."""
FORMS: dict[str, Callable[[Tensor, str], Tensor]] = {
    "stored": lambda value, compression: value,
    "linear": lambda value, compression: restore_values(value, torch.ones_like(value), compression),
    "hit": lambda value, compression: torch.ones_like(value),
}
"""A value as it is in a shard, in proportion to energy or length, and that there is one, of values and compression."""


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

    What is not in the reference: `pool` pixels a side are added up to one first; each layer has a channel for each of
    the `forms` of its values; each pixel knows where it is by `waves` in η and in φ; and the head sees the `mean` of
    each channel besides its maximum. ValueError for what cannot be.
    """

    def __init__(
        self,
        shards: ShardMeta,
        outputs: int,
        pool: int = 1,
        forms: Sequence[str] = ("stored",),
        waves: int = 0,
        mean: bool = False,
    ) -> None:
        super().__init__(shards, outputs)
        if not isinstance(pool, int) or not 1 <= pool <= LARGEST_POOL:
            raise ValueError(f"pool {pool} instead of 1 to {LARGEST_POOL}")
        if not forms or any(form not in FORMS for form in forms):
            raise ValueError(f"forms {[*forms]} instead of some of {', '.join(FORMS)}")
        self.forms = tuple(forms)
        self.body = Convolutions(len(shards.layers) * len(forms), pool, shards.coordinates, outputs, waves, mean)

    def forward(self, batch: SparseBatch) -> Tensor:
        """As `Network.forward`."""
        value, compression = batch.value.float(), self.shards.compression
        formed = torch.stack([FORMS[form](value, compression) for form in self.forms], dim=1)
        return self.body(scatter(batch, self.shards, formed), batch.position)


class Convolutions(nn.Module):
    """Image and position of a jet to its mass in units of the mass scale.

    The layout is that of A. Ismail, "Fantastic Google Summer of Code Experiences" (2021) and its public code:
    86,243 parameters for three layers. The first convolution pads by one pixel only (125 → 121).
    With `pool` above 1 (not in the reference) squares of so many pixels a side are added up first; with no
    `coordinates` of a jet there is its image alone; `waves` and `mean` as in `ResNet15`.
    """

    def __init__(
        self, layers: int, pool: int = 1, coordinates: int = 2, outputs: int = 1, waves: int = 0, mean: bool = False
    ) -> None:
        super().__init__()
        self.pool, self.mean = pool, mean
        self.waves = Waves(waves, 16) if waves else None
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
        self.head = Head(32 * (1 + mean) + coordinates, outputs)

    def forward(self, image: Tensor, position: Tensor) -> Tensor:
        """`image` (B, C, H, W) and `position` (B, coordinates), iphi / 360 and ieta / 170, to (B, outputs)."""
        if self.pool > 1:
            image = functional.avg_pool2d(image, self.pool, ceil_mode=True, divisor_override=1)
        x = self.stem(image)
        if self.waves:
            x = x + self.waves(x)
        x = functional.max_pool2d(functional.relu(x), 2)
        x = self.blocks(x)
        found = [x.amax(dim=(2, 3)), *([x.mean(dim=(2, 3))] if self.mean else [])]
        return self.head(torch.cat([*(each.float() for each in found), position], dim=1))


class Waves(nn.Module):
    """Where a pixel is: sines and cosines of so many frequencies in η and in φ, mixed to channels; nothing at first."""

    def __init__(self, frequencies: int, channels: int) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.mix = nn.Conv2d(4 * frequencies, channels, 1, bias=False)
        nn.init.zeros_(self.mix.weight)

    def forward(self, like: Tensor) -> Tensor:
        """(1, channels, H, W) for maps (B, …, H, W), which half a wave of the lowest frequency spans."""
        rows, columns = (torch.linspace(-1, 1, size, device=like.device) for size in like.shape[2:])
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        angles = math.pi / 2 * torch.arange(1, self.frequencies + 1, device=like.device)
        phases = (angles[:, None, None, None] * places).flatten(0, 1)
        return self.mix(torch.cat([phases.sin(), phases.cos()])[None])
