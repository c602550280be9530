"""Attention over the hardest towers of a jet, joined with the numbers of `kinematics`."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.learning.kinematics.four_momenta import products
from topmass.learning.kinematics.hardest import COLUMNS, FEATURES, TERMS, features, hardest, pairs
from topmass.learning.kinematics.hits import Hits
from topmass.learning.kinematics.towers import Towers
from topmass.learning.networks.kinematics import Standard, perceptron, untrained_head
from topmass.learning.networks.of_parts import JOINED, NOWHERE, OfParts
from topmass.preprocessing.shards import ShardMeta

OF_PAIRS = 16
"""Units between what is known of two towers and how much one looks at the other."""
SETS = 8
"""Momenta that are made of all towers, with learned weights."""
ENOUGH = 256
"""Jets by whose pairs of towers all are standardised."""


class Transformer(OfParts):
    """The `towers` hardest towers of a jet look at each other in `blocks` of attention.

    Each of the `heads` has `width` units for each tower.
    """

    def __init__(
        self, shards: ShardMeta, outputs: int, towers: int = 40, width: int = 12, heads: int = 4, blocks: int = 2
    ) -> None:
        super().__init__(shards, outputs, COLUMNS, towers)
        self.towers = towers
        self.body = Attention(self.known, heads * width, heads, blocks, outputs)

    def find(self, hits: Hits, towers: Towers) -> Tensor:
        """As `OfParts.find`: the hardest towers."""
        return hardest(towers, self.towers)


class Attention(nn.Module):
    """What is known of jets (B, K), and their towers (B, COLUMNS, T), to masses (B, outputs)."""

    def __init__(self, numbers: int, width: int, heads: int, blocks: int, outputs: int) -> None:
        super().__init__()
        self.standard, self.features = Standard(numbers), Standard(FEATURES)
        self.known = perceptron(numbers, JOINED, 2)
        self.context, self.embed = nn.Linear(JOINED, width), nn.Linear(FEATURES, width)
        self.bias = Bias(heads)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm, self.share, self.sets = nn.LayerNorm(width), nn.Linear(width, heads), nn.Linear(width, SETS)
        pooled = (heads + 1) * width + SETS * (SETS + 3) // 2
        self.joined = nn.Sequential(*perceptron(JOINED + pooled, JOINED, 2), untrained_head(JOINED, outputs))

    @torch.no_grad()
    def adapt(self, numbers: Tensor, towers: Tensor) -> None:
        """Standardise by these jets, and by the towers that there are."""
        here = there(towers)
        self.standard.adapt(numbers)
        self.features.adapt(features(towers)[here])
        some = here[:ENOUGH]
        self.bias.standard.adapt(pairs(towers[:ENOUGH, :4])[some[:, :, None] & some[:, None]])

    def forward(self, numbers: Tensor, towers: Tensor) -> Tensor:
        """Float32."""
        known, here = self.known(self.standard(numbers)), there(towers)
        x = self.embed(self.features(features(towers))) + self.context(known)[:, None]
        bias = self.bias(towers[:, :4]).masked_fill(~here[:, None], NOWHERE)
        for block in self.blocks:
            x = block(x, bias)
        x = self.norm(x)
        share = self.share(x).masked_fill(~here[..., None], NOWHERE).softmax(1)
        largest = (functional.relu(x) * here[..., None]).amax(1)
        of_sets = invariants(self.sets(x), towers[:, :4].mT)
        return self.joined(torch.cat([known, (share.mT @ x).flatten(1), largest, of_sets], dim=1))


class Bias(nn.Module):
    """By how much one tower looks at another before it has seen more than ΔR, kT, z and m² of the two."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.standard = Standard(TERMS)
        self.first, self.second = nn.Linear(TERMS, OF_PAIRS), nn.Linear(OF_PAIRS, heads)

    def forward(self, momenta: Tensor) -> Tensor:
        """Momenta (B, 4, T) to (heads, B, T, T)."""
        terms = self.standard(pairs(momenta)).movedim(3, 0)
        # The pairs come last: so they lie in memory, and the attention takes them.
        hidden = functional.relu(torch.addmm(self.first.bias[:, None], self.first.weight, terms.flatten(1)))
        bias = torch.addmm(self.second.bias[:, None], self.second.weight, hidden)
        return bias.unflatten(1, (-1, *terms.shape[2:]))


class Block(nn.Module):
    """Attention with a bias, and a perceptron of each tower; each adds to what comes in, at first nothing."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look, self.found = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        for last in (self.found, self.down):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Towers (B, T, width) and bias (heads, B, T, T) to the same towers."""
        units = x.shape[2] // self.heads
        looked = self.look(self.before(x)).unflatten(2, (3, self.heads, units))
        query, key, value = looked.permute(2, 3, 0, 1, 4).flatten(1, 2)
        score = torch.baddbmm(bias.flatten(0, 1), query, key.mT, alpha=units**-0.5)
        found = (score.softmax(2) @ value).unflatten(0, (self.heads, x.shape[0]))
        x = x + self.found(found.permute(1, 2, 0, 3).flatten(2))
        return x + self.down(functional.gelu(self.up(self.between(x))))


def there(towers: Tensor) -> Tensor:
    """Which towers (B, T) there are: those with an energy."""
    return towers[:, 3] > 0


def invariants(score: Tensor, momenta: Tensor) -> Tensor:
    """Of sets of momenta (B, T, 4), which belong to each by their score (B, T, SETS): ln pT² and ln of all products."""
    with torch.autocast(momenta.device.type, enabled=False):
        total = score.float().sigmoid().mT @ momenta
    first, second = torch.triu_indices(SETS, SETS, device=total.device)
    found = torch.cat([total[..., :2].square().sum(2), products(total, total)[:, first, second]], dim=1)
    # About as far from zero as what is standardised.
    return found.clamp(min=1.0).log() / 4 - 2
