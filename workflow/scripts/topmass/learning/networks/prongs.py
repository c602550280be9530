"""Particles of a jet shared out among learned prongs, whose momenta and masses tell how to share them out again."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.learning.kinematics.four_momenta import directions, massless, products, transverse
from topmass.learning.kinematics.hits import Hits
from topmass.learning.kinematics.particles import COLUMNS, CRYSTAL, HADRON, TRACK, particles
from topmass.learning.kinematics.towers import Towers
from topmass.learning.networks.kinematics import Standard, perceptron, untrained_head
from topmass.learning.networks.of_parts import JOINED, NOWHERE, OfParts
from topmass.preprocessing.shards import ShardMeta

FEATURES = 13
"""Of a particle by itself, as `features` has them."""
RELATIONS = 3
"""Of a particle and a prong: ΔR, mass, and how much of the one is in the other."""
SHARES = 4
"""Weighted means over all particles, with learned weights."""
LEAST = 1e-2
"""GeV, or radians; of less, a logarithm is that of this."""
D0_UNIT, DZ_UNIT = 0.05, 0.2
"""cm; an impact parameter of some of these is as good as any larger one."""


class Prongs(OfParts):
    """The hardest `particles` of a jet are shared out among so many `prongs`, in so many `rounds`.

    There are `width` units for each particle.
    """

    def __init__(
        self, shards: ShardMeta, outputs: int, particles: int = 64, prongs: int = 8, width: int = 48, rounds: int = 3
    ) -> None:
        super().__init__(shards, outputs, COLUMNS, particles)
        self.particles = particles
        self.body = Sharing(self.known, prongs, width, rounds, outputs)

    def find(self, hits: Hits, towers: Towers) -> Tensor:
        """As `OfParts.find`: the hardest particles."""
        return particles(hits, towers, self.particles)


class Sharing(nn.Module):
    """What is known of jets (B, K), and their particles (B, COLUMNS, C), to masses (B, outputs)."""

    def __init__(self, numbers: int, prongs: int, width: int, rounds: int, outputs: int) -> None:
        super().__init__()
        self.standard, self.features = Standard(numbers), Standard(FEATURES)
        self.known, self.embed = perceptron(numbers, JOINED, 2), nn.Linear(FEATURES, width)
        self.rounds = nn.ModuleList(Round(prongs, width, first=number == 0) for number in range(rounds))
        self.head = nn.Sequential(*perceptron(JOINED, JOINED, 1), untrained_head(JOINED, outputs))

    @torch.no_grad()
    def adapt(self, numbers: Tensor, particles: Tensor) -> None:
        """Standardise by these jets, and by the particles that there are."""
        self.standard.adapt(numbers)
        self.features.adapt(features(particles)[there(particles)])

    def forward(self, numbers: Tensor, particles: Tensor) -> Tensor:
        """Float32."""
        jet, x = self.known(self.standard(numbers)), self.embed(self.features(features(particles)))
        momenta, here = momenta_of(particles), there(particles)[..., None]
        relations = x[..., :0]
        for each in self.rounds:
            jet, x, relations = each(jet, x, relations, momenta, here)
        return self.head(jet)


class Round(nn.Module):
    """Particles learn of the prongs of the round before, are shared out anew, and what comes of it is told to the jet.

    Each perceptron adds to what comes in; that of particles at first nothing.
    """

    def __init__(self, prongs: int, width: int, first: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.context = nn.Linear(JOINED, width)
        self.up = nn.Linear(width + (0 if first else RELATIONS * prongs), 2 * width)
        self.down = nn.Linear(2 * width, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)
        self.score, self.share = nn.Linear(width, prongs), nn.Linear(width, SHARES)
        found = SHARES * width + prongs * (prongs + 7) // 2
        self.tell = nn.Sequential(nn.Linear(JOINED + found, JOINED), nn.GELU(), nn.Linear(JOINED, JOINED))

    def forward(
        self, jet: Tensor, x: Tensor, relations: Tensor, momenta: Tensor, here: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Jets (B, JOINED), particles (B, C, width), their relations (B, C, …) to the same and new relations.

        `momenta` (B, C, 4) are those of the particles, and `here` (B, C, 1) says which there are.
        """
        x = x + self.context(jet)[:, None]
        x = x + self.down(functional.gelu(self.up(torch.cat([self.norm(x), relations], dim=2))))
        share = self.share(x).masked_fill(~here, NOWHERE).softmax(1)
        of_prongs, relations = gather(self.score(x), self.score.out_features, momenta, here)
        jet = jet + self.tell(torch.cat([jet, (share.mT @ x).flatten(1), of_prongs], dim=1))
        return jet, x, relations


def gather(score: Tensor, count: int, momenta: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
    """What `count` prongs are, (B, count (count + 7) / 2), and what particles are to them, (B, C, RELATIONS × count).

    A particle belongs to each of them by its score (B, C, count). Of a prong there are pT, Δy and Δφ from the middle of
    the window, and mass; of each two, the mass that they have together.
    """
    # bfloat16 would leave nothing of a mass.
    with torch.autocast(momenta.device.type, enabled=False):
        inside = score.float().sigmoid() * here
        px, py, pz, energy = (inside.mT @ momenta).unbind(2)
        # A ghost in the middle of the window: without it, a prong of nothing would have no direction.
        prongs = torch.stack([px + LEAST, py, pz, energy + 2 * LEAST], dim=2)
        y, phi = directions(prongs.mT)
        first, second = torch.triu_indices(count, count, device=score.device)
        mass = products(prongs, prongs)[:, first, second].clamp(min=1.0).log() / 4 - 2
        of_prongs = torch.cat([transverse(prongs).log() / 2 - 2, y, phi, mass], dim=1)
        of_particles = directions(momenta.mT)
        to_y, to_phi = (each[:, :, None] - axis[:, None] for each, axis in zip(of_particles, (y, phi), strict=True))
        r = (to_y.square() + to_phi.square() + LEAST**2).log() / 2 + 1
        together = products(momenta, prongs).clamp(min=LEAST).log() / 2 - 1.5
        return of_prongs, torch.cat([r, together, 2 * inside - 1], dim=2)


def features(particles: Tensor) -> Tensor:
    """What each of the particles (B, COLUMNS, C) is by itself (B, C, FEATURES).

    Logarithms of pT and of its share of the whole; where it is from the middle of the window, and from the axis of all;
    its kind, and how far it comes from the beam.
    """
    pt, eta, phi, kind, d0, dz = particles.unbind(1)
    total = momenta_of(particles).sum(1)
    share = pt / transverse(total)[:, None].clamp(min=LEAST)
    from_axis = [each - axis[:, None] for each, axis in zip((eta, phi), directions(total), strict=True)]
    kinds = [(kind == each).to(pt.dtype) for each in (TRACK, CRYSTAL, HADRON)]
    impact = [(each / unit).tanh().abs() for each, unit in ((d0, D0_UNIT), (dz, DZ_UNIT))]
    logarithms = [pt.clamp(min=LEAST).log(), share.clamp(min=LEAST**2).log()]
    return torch.stack(
        [*logarithms, eta, phi, torch.hypot(eta, phi), *from_axis, torch.hypot(*from_axis), *kinds, *impact], dim=2
    )


def momenta_of(particles: Tensor) -> Tensor:
    """Four-momenta (B, C, 4) of particles (B, COLUMNS, C)."""
    return massless(*particles[:, :3].unbind(1)).mT


def there(particles: Tensor) -> Tensor:
    """Which particles (B, C) there are: those with a pT."""
    return particles[:, 0] > 0
