"""A small network of numbers that are known of a jet before anything is learned: masses and momenta of its parts."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from topmass.learning.feeding.batches import SparseBatch
from topmass.learning.kinematics.hits import Hits, find_hits
from topmass.learning.kinematics.quantities import SUBJETS, SUMS, given
from topmass.learning.kinematics.subjets import subjets
from topmass.learning.kinematics.sums import sums
from topmass.learning.kinematics.towers import Towers, find_towers
from topmass.learning.networks.head import Head
from topmass.learning.networks.network import Network
from topmass.preprocessing.shards import ShardMeta

FARTHEST = 5.0
"""Standard deviations from the mean beyond which a number is no farther away."""
MEAN_MASS = 0.585
"""Of jets that are flat in mass from 85 to 500 GeV, in units of the mass scale: what an untrained network says."""


class Kinematics(Network):
    """Logarithms of the numbers, standardised by jets of the training, and a multilayer perceptron of them.

    `depth` layers of `width` units with GELU between them.
    """

    hits = False

    def __init__(self, shards: ShardMeta, outputs: int, width: int = 192, depth: int = 4) -> None:
        super().__init__(shards, outputs)
        self.numbers = known_numbers(shards)
        self.standard = Standard(self.numbers)
        self.body = nn.Sequential(*perceptron(self.numbers, width, depth), untrained_head(width, outputs))

    def look(self, batch: SparseBatch) -> Tensor:
        """As `Network.look`."""
        hits = find_hits(batch, self.shards)
        return known(batch, hits, find_towers(hits), self.shards)

    def adapt(self, batch: SparseBatch) -> None:
        """As `Network.adapt`: mean and standard deviation of each number."""
        self.standard.adapt(self.seen(batch))

    def forward(self, batch: SparseBatch) -> Tensor:
        """As `Network.forward`."""
        return self.body(self.standard(self.seen(batch)))


def known_numbers(shards: ShardMeta) -> int:
    """How many numbers are known of a jet of such shards."""
    return len(given(SUMS + SUBJETS, shards)) + shards.coordinates


def known(batch: SparseBatch, hits: Hits, towers: Towers, shards: ShardMeta) -> Tensor:
    """These numbers (B, K) of jets: logarithms, whose sign is that of the number, and the position."""
    found = torch.cat([sums(hits, shards), subjets(towers, shards)], dim=1)
    return torch.cat([found.sign() * found.abs().log1p(), batch.position], dim=1)


class Standard(nn.Module):
    """Numbers (…, K) in standard deviations from their means."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("deviation", torch.ones(numbers))

    @torch.no_grad()
    def adapt(self, numbers: Tensor) -> None:
        """Take means and deviations from numbers (N, K); none leave them as they are."""
        if len(numbers):
            self.mean.copy_(numbers.double().mean(0))
            # A number that is always the same says nothing, and is not blown up.
            self.deviation.copy_(numbers.double().std(0, correction=0) + 1e-3)

    def forward(self, numbers: Tensor) -> Tensor:
        """The same shape."""
        return ((numbers - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST)


def perceptron(numbers: int, width: int, depth: int) -> nn.Sequential:
    """From numbers (…, `numbers`) to (…, `width`): so many layers with GELU."""
    widths = [numbers, *[width] * depth]
    return nn.Sequential(*(layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.GELU())))


def untrained_head(features: int, outputs: int) -> Head:
    """A head that says the mean mass of all jets before it has learned."""
    head = Head(features, outputs)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    nn.init.constant_(head.bias[outputs // 2], MEAN_MASS)
    return head
