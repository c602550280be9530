"""Convolutions of towers that know all of their hits, joined with the numbers of `kinematics`."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.layers import TOWER
from topmass.learning.feeding.batches import SparseBatch, locate
from topmass.learning.kinematics.hits import find_hits
from topmass.learning.kinematics.sums import add_up
from topmass.learning.kinematics.towers import ACROSS, find_towers
from topmass.learning.networks.kinematics import Standard, known, known_numbers, perceptron, untrained_head
from topmass.learning.networks.network import Network
from topmass.learning.networks.of_parts import JOINED
from topmass.preprocessing.scaling import restore_values
from topmass.preprocessing.shards import ShardMeta

DEEPER = (1, 1, 2, 2, 4, 4, 4)
"""Channels between the residual blocks, in widths. Where they change, and in the last, towers are halved a side."""
KEPT = 16
"""Channels whose places are told to what comes after the last block, 4 × 4 of them."""
LEAST = 1e-3
"""In units of a layer's scale; of less, a logarithm is that of this."""


class Pillars(Network):
    """A hit tells its tower what its layer and its place in the tower mean, with its value and without.

    A tower has `width` units; blocks of convolutions have up to four times as many channels.
    """

    def __init__(self, shards: ShardMeta, outputs: int, width: int = 16) -> None:
        super().__init__(shards, outputs)
        self.numbers = known_numbers(shards)
        self.meaning = nn.Embedding(len(shards.layers) * TOWER**2, 2 * width)
        nn.init.normal_(self.meaning.weight, std=0.2)
        self.body = Convolutions(self.numbers, len(shards.layers), width, outputs)

    def look(self, batch: SparseBatch) -> Tensor:
        """As `Network.look`: the numbers of `kinematics`."""
        hits = find_hits(batch, self.shards)
        return known(batch, hits, find_towers(hits), self.shards)

    def adapt(self, batch: SparseBatch) -> None:
        """As `Network.adapt`: mean and standard deviation of each number, and of each layer in the towers."""
        self.body.adapt(self.seen(batch), *self.towers(batch))

    def forward(self, batch: SparseBatch) -> Tensor:
        """As `Network.forward`."""
        return self.body(self.seen(batch), *self.towers(batch))

    def towers(self, batch: SparseBatch) -> tuple[Tensor, Tensor]:
        """What hits tell each tower (B, ACROSS, ACROSS, width), and sums of the sizes of values (B, …, C) by layer."""
        places, cell = locate(batch, self.shards)
        jets, layers = batch.length.shape[0], len(self.shards.layers)
        row, column = places.row * cell, places.column * cell
        tower = (places.jet * ACROSS + row // TOWER) * ACROSS + column // TOWER
        meaning = self.meaning((places.layer * TOWER + row % TOWER) * TOWER + column % TOWER)
        by_value, always = meaning.chunk(2, dim=1)
        value = batch.value.float()
        told = add_up(torch.addcmul(always, by_value, value[:, None]), tower, jets * ACROSS**2)
        size = restore_values(value, torch.ones_like(value), self.shards.compression).abs()
        sums = size.new_zeros(jets * ACROSS**2 * layers).index_add_(0, tower * layers + places.layer, size)
        grid = jets, ACROSS, ACROSS
        return told.view(*grid, told.shape[1]), sums.view(*grid, layers)


class Convolutions(nn.Module):
    """What is known of jets (B, K), and their towers as `Pillars.towers` has them, to masses (B, outputs)."""

    def __init__(self, numbers: int, layers: int, width: int, outputs: int) -> None:
        super().__init__()
        self.standard, self.sums = Standard(numbers), Standard(layers)
        self.known, self.context = perceptron(numbers, JOINED, 2), nn.Linear(JOINED, width)
        self.embed = nn.Linear(width + layers, width)
        self.place = nn.Parameter(torch.zeros(ACROSS, ACROSS, width))
        widths = [times * width for times in DEEPER]
        self.blocks = nn.Sequential(*(Block(*pair) for pair in pairwise(widths)), Block(widths[-1], widths[-1], 2))
        self.kept = nn.Conv2d(widths[-1], KEPT, 1)
        found = KEPT * 4 * 4 + widths[-1]
        self.before, self.norm = nn.LayerNorm(width), nn.LayerNorm(found)
        self.joined = nn.Sequential(*perceptron(JOINED + found, JOINED, 2), untrained_head(JOINED, outputs))

    @torch.no_grad()
    def adapt(self, numbers: Tensor, told: Tensor, sums: Tensor) -> None:
        """Standardise by these jets."""
        self.standard.adapt(numbers)
        self.sums.adapt(sums.clamp(min=LEAST).log().flatten(0, 2))

    def forward(self, numbers: Tensor, told: Tensor, sums: Tensor) -> Tensor:
        """Float32."""
        known = self.known(self.standard(numbers))
        towers = torch.cat([functional.gelu(told), self.sums(sums.clamp(min=LEAST).log())], dim=3)
        x = self.embed(towers) + self.place + self.context(known)[:, None, None]
        x = functional.gelu(self.blocks(self.before(x).permute(0, 3, 1, 2)))
        found = self.norm(torch.cat([self.kept(x).flatten(1), x.mean((2, 3))], dim=1))
        return self.joined(torch.cat([known, found], dim=1))


class Block(nn.Module):
    """Two 3 × 3 convolutions add to what comes in, at first nothing; a 1 × 1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int | None = None) -> None:
        super().__init__()
        stride = stride or (1 if channels_in == channels_out else 2)
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(channels_in, channels_out, 1, stride)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H / stride, W / stride)."""
        return self.second(functional.relu(self.first(functional.relu(x)))) + self.shortcut(x)
