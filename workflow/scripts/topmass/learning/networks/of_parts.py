"""What networks have in common that take a jet as a set of parts, beside what `kinematics` is told of it."""

import torch
from torch import Tensor

from topmass.learning.feeding.batches import SparseBatch
from topmass.learning.kinematics.hits import Hits, find_hits
from topmass.learning.kinematics.towers import Towers, find_towers
from topmass.learning.networks.kinematics import known, known_numbers
from topmass.learning.networks.network import Network
from topmass.preprocessing.shards import ShardMeta

JOINED = 192
"""Units of a layer for the whole jet."""
NOWHERE = -1e4
"""In place of minus infinity where there is no part: a jet without any has finite shares, too."""


class OfParts(Network):
    """Takes so many `columns` of each of so many `parts`, which `find` finds.

    Its body is called, and adapted, with what is known of jets (B, K) and with their parts (B, columns, parts).
    """

    hits = False

    def __init__(self, shards: ShardMeta, outputs: int, columns: int, parts: int) -> None:
        super().__init__(shards, outputs)
        self.known, self.shape = known_numbers(shards), (columns, parts)
        self.numbers = self.known + columns * parts

    def find(self, hits: Hits, towers: Towers) -> Tensor:
        """The parts (B, columns, parts) float32 of jets; zeros where there are fewer."""
        raise NotImplementedError

    def look(self, batch: SparseBatch) -> Tensor:
        """As `Network.look`: the numbers of `kinematics`, then those of the parts."""
        hits = find_hits(batch, self.shards)
        towers = find_towers(hits)
        return torch.cat([known(batch, hits, towers, self.shards), self.find(hits, towers).flatten(1)], dim=1)

    def parted(self, batch: SparseBatch) -> tuple[Tensor, Tensor]:
        """What is known of each jet, and its parts."""
        numbers, parts = self.seen(batch).split([self.known, self.numbers - self.known], dim=1)
        return numbers, parts.unflatten(1, self.shape)

    def adapt(self, batch: SparseBatch) -> None:
        """As `Network.adapt`: mean and standard deviation of each number of jets and of parts."""
        self.body.adapt(*self.parted(batch))

    def forward(self, batch: SparseBatch) -> Tensor:
        """As `Network.forward`."""
        return self.body(*self.parted(batch))
