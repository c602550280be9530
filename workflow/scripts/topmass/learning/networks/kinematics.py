"""A small network of numbers that are known of a jet before anything is learned: masses and momenta of its parts."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from topmass.learning.feeding.batches import SparseBatch
from topmass.learning.kinematics.hits import find_hits
from topmass.learning.kinematics.quantities import SUBJETS, SUMS, given
from topmass.learning.kinematics.subjets import subjets
from topmass.learning.kinematics.sums import sums
from topmass.learning.kinematics.towers import find_towers
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
        self.numbers = len(given(SUMS + SUBJETS, shards)) + shards.coordinates
        self.register_buffer("mean", torch.zeros(self.numbers))
        self.register_buffer("deviation", torch.ones(self.numbers))
        self.body = perceptron(self.numbers, width, depth, outputs)

    def look(self, batch: SparseBatch) -> Tensor:
        """As `Network.look`: logarithms, whose sign is that of the number."""
        hits = find_hits(batch, self.shards)
        found = torch.cat([sums(hits, self.shards), subjets(find_towers(hits), self.shards)], dim=1)
        return torch.cat([found.sign() * found.abs().log1p(), batch.position], dim=1)

    @torch.no_grad()
    def adapt(self, batch: SparseBatch) -> None:
        """As `Network.adapt`: mean and standard deviation of each number."""
        seen = self.seen(batch).double()
        self.mean.copy_(seen.mean(0))
        # A number that is the same for all jets says nothing, and is not blown up.
        self.deviation.copy_(seen.std(0, correction=0) + 1e-3)

    def forward(self, batch: SparseBatch) -> Tensor:
        """As `Network.forward`."""
        return self.body(((self.seen(batch) - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST))


def perceptron(numbers: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """From standardised numbers (B, `numbers`) to masses (B, `outputs`)."""
    widths = [numbers, *[width] * depth]
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.GELU())]
    head = Head(width, outputs)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    nn.init.constant_(head.bias[outputs // 2], MEAN_MASS)
    return nn.Sequential(*layers, head)
