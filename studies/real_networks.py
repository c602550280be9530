"""`prongs` as a network `module`, with the mass or its ratio to the jet mass as the output; for studies/real.yaml."""

import torch
from torch import nn

from topmass.features.p4 import mass2
from topmass.models.prongs import ProngNet, particle_p4
from topmass.preprocessing.shards import MASS_SCALE

MIN_MASS = 20.0
"""GeV; lower bound of the jet mass that the ratio refers to."""


class Mass(nn.Module):
    """The network `prongs`, for the comparison with `Ratio`: the inputs of the adapter are normalised differently.

    Args:
        settings: Arguments of `ProngNet`.
    """

    def __init__(self, n_outputs, shapes, prongs=8, width=48, num_layers=3):
        super().__init__()
        (n_features,) = shapes["jet_features"]
        self.body = ProngNet(n_features, prongs, width, num_layers, n_outputs)
        # The adapter normalises jet features alone. Particle features get constants near their means and widths: first
        # log pT and the log of its fraction of the jet, then numbers of order one.
        self.body.particle_norm.mean[:2] = torch.tensor([1.0, -5.0])
        self.body.particle_norm.std[:2] = 1.3
        self.body.particle_norm.std[2:] = 0.5

    def forward(self, jet_features, particles):
        """Return outputs (B, n_outputs) of jet features (B, K) and particles (B, N, 8)."""
        return self.body(jet_features, constituents(particles))


class Ratio(Mass):
    """The same, with the mass of the leading particles as a factor of the outputs."""

    def forward(self, jet_features, particles):
        """Return outputs (B, n_outputs) of jet features (B, K) and particles (B, N, 8)."""
        columns = constituents(particles)
        mass = mass2(particle_p4(columns).sum(1, keepdim=True)).clamp(min=MIN_MASS**2).sqrt()
        # Outputs start at 0.585, for a mean mass of 292.5 GeV: the factor 2 makes it a ratio near one.
        return self.body(jet_features, columns) * 2 * mass / MASS_SCALE


def constituents(particles):
    """Return the columns of `topmass.features.particles` (B, columns, N) of particles (B, N, 8)."""
    pt, eta, phi, _, kind, d0, dz, _ = particles.unbind(2)
    return torch.stack([pt, eta, phi, kind, d0, dz], dim=1)
