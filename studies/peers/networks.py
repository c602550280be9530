"""Networks of other groups as networks `module` (docs/networks.md).

They are Particle Transformer, ParticleNet and L-GATr-slim, from the packages in envs/peers.txt, and Deep Sets. All have
the particles of `prongs` as input. The class `ParTWithJetFeatures` also has its jet features.
"""

import torch
from lgatr import LGATrSlim
from torch import nn
from weaver.nn.model.ParticleNet import ParticleNet
from weaver.nn.model.ParticleTransformer import ParticleTransformer

from topmass.models.network import mlp, zero_init_head

N_FEATURES = 14
"""Features of a particle."""
P4_SCALE = 20.0
"""GeV; four-momenta of L-GATr-slim are divided by it, so that most components are of order one."""


def particle_features(particles):
    """Return features (B, N, 14) of particles (B, N, 8), as in the weaver configurations of these networks.

    These are logarithms of pT and E and of their fractions of the jet, distance to the jet axis, position, kind, and
    impact parameters; padding is zero. pT, E and ΔR are scaled as in weaver's configuration for JetClass.
    """
    pt, eta, phi, energy, kind, d0, dz, mask = particles.unbind(2)
    jet_pt, jet_energy = pt.sum(1, keepdim=True), energy.sum(1, keepdim=True)
    axis_eta, axis_phi = ((pt * x).sum(1, keepdim=True) / jet_pt.clamp(min=1e-3) for x in (eta, phi))
    delta_eta, delta_phi = eta - axis_eta, phi - axis_phi
    columns = [
        0.7 * (log(pt) - 1.7),
        0.7 * (log(energy) - 2),
        0.7 * (log(pt / jet_pt.clamp(min=1e-3)) + 4.7),
        0.7 * (log(energy / jet_energy.clamp(min=1e-3)) + 4.7),
        4 * (torch.hypot(delta_eta, delta_phi) - 0.2),
        delta_eta,
        delta_phi,
        *((kind == value).float() for value in range(3)),
        torch.tanh(d0),
        (50 * d0).tanh(),
        torch.tanh(dz),
        (50 * dz).tanh(),
    ]
    return torch.stack(columns, dim=2).clamp(-5, 5) * mask[..., None]


def log(x):
    """Return the logarithm, with a floor for padding."""
    return x.clamp(min=1e-6).log()


def four_momenta(particles):
    """Return four-momenta (B, N, 4), px, py, pz and E in GeV, of particles (B, N, 8)."""
    pt, eta, phi, energy = particles[..., :4].unbind(2)
    return torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), energy], dim=2)


def masked_mean(x, mask):
    """Return the mean (B, K) over the particles of features (B, N, K) with a mask (B, N)."""
    return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


class ParT(nn.Module):
    """Particle Transformer, H. Qu, C. Li, S. Qian, arXiv:2202.03772.

    Args:
        width: Features per particle; 128 in the paper.
        heads: Attention heads; 8 in the paper.
        layers: Particle attention blocks; 8 in the paper.
        pair_width: Features per pair of particles; 64 in the paper.
    """

    def __init__(self, n_outputs, width=128, heads=8, layers=8, pair_width=64):
        super().__init__()
        self.body = ParticleTransformer(
            N_FEATURES,
            pair_input_dim=4,
            embed_dims=(width, 4 * width, width),
            pair_embed_dims=(pair_width,) * 3,
            num_heads=heads,
            num_layers=layers,
            fc_params=None,
            # The trimmer has a random state that is no part of a checkpoint.
            trim=False,
        )
        self.head = zero_init_head(width, n_outputs)

    def embed(self, particles):
        """Return the embedding (B, width) of jets with particles (B, N, 8)."""
        x, p4, mask = particle_features(particles).mT, four_momenta(particles).mT, particles[:, None, :, 7]
        return self.body(x, v=p4, mask=mask)

    def forward(self, particles):
        """Return outputs (B, n_outputs) of particles (B, N, 8)."""
        return self.head(self.embed(particles))


class ParTWithJetFeatures(ParT):
    """Particle Transformer whose last layers also receive the jet features of `kinematics`.

    Args:
        settings: Arguments of `ParT`.
    """

    def __init__(self, n_outputs, shapes, width=128, **settings):
        super().__init__(n_outputs, width, **settings)
        (n_features,) = shapes["jet_features"]
        self.jet_embedding = mlp(n_features, 4 * width, 2)
        self.mix = mlp(5 * width, width, 1)

    def forward(self, particles, jet_features):
        """Return outputs (B, n_outputs) of particles (B, N, 8) and jet features (B, K)."""
        return self.head(self.mix(torch.cat([self.embed(particles), self.jet_embedding(jet_features)], dim=1)))


class EdgeConvNet(nn.Module):
    """ParticleNet, H. Qu, L. Gouskos, arXiv:1902.08570.

    Args:
        neighbours: Neighbours per particle; 16 in the paper, 7 in its ParticleNet-Lite.
        channels: Channels of each EdgeConv block; 64, 128, 256 in the paper, 32, 64 in ParticleNet-Lite.
        width: Features of the last hidden layer; 256 in the paper, 128 in ParticleNet-Lite.
    """

    def __init__(self, n_outputs, neighbours=16, channels=(64, 128, 256), width=256):
        super().__init__()
        blocks = [(neighbours, (each,) * 3) for each in channels]
        self.body = ParticleNet(N_FEATURES, width, blocks, [(width, 0.1)], trim=False)
        # The body ends with a linear layer for classes.
        self.body.fc[-1] = nn.Identity()
        self.head = zero_init_head(width, n_outputs)

    def forward(self, particles):
        """Return outputs (B, n_outputs) of particles (B, N, 8)."""
        # bfloat16 is too coarse for distances between neighbours.
        with torch.autocast(particles.device.type, enabled=False):
            points, mask = particles[..., 1:3].mT, particles[:, None, :, 7].bool()
            return self.head(self.body(points, particle_features(particles).mT, mask))


class LorentzTransformer(nn.Module):
    """L-GATr-slim, a Lorentz-equivariant transformer, arXiv:2512.17011.

    As in the paper on L-GATr, the beam and the time direction are additional vectors, which break the symmetry.

    Args:
        blocks: Transformer blocks.
        vectors: Hidden vector channels per particle.
        scalars: Hidden scalar channels per particle.
        heads: Attention heads.
    """

    def __init__(self, n_outputs, blocks=12, vectors=32, scalars=96, heads=8):
        super().__init__()
        self.body = LGATrSlim(blocks, 4, 0, vectors, N_FEATURES, scalars, scalars, heads)
        self.register_buffer("reference", torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, -1]]), persistent=False)
        self.head = zero_init_head(scalars, n_outputs)

    def forward(self, particles):
        """Return outputs (B, n_outputs) of particles (B, N, 8)."""
        p4 = four_momenta(particles).roll(1, dims=2)[:, :, None] / P4_SCALE
        vectors = torch.cat([p4, self.reference.expand(*p4.shape[:2], 3, 4)], dim=2)
        mask = particles[..., 7]
        _, x = self.body(vectors, particle_features(particles), attn_mask=mask[:, None, None].bool())
        return self.head(masked_mean(x, mask))


class DeepSets(nn.Module):
    """Deep Sets, M. Zaheer et al., arXiv:1703.06114: an MLP per particle, the mean over particles, and an MLP per jet.

    Args:
        width: Features per hidden layer.
        depth: Layers of each MLP.
    """

    def __init__(self, n_outputs, width=128, depth=3):
        super().__init__()
        self.phi, self.rho = mlp(N_FEATURES, width, depth), mlp(width, width, depth)
        self.head = zero_init_head(width, n_outputs)

    def forward(self, particles):
        """Return outputs (B, n_outputs) of particles (B, N, 8)."""
        x = masked_mean(self.phi(particle_features(particles)), particles[..., 7])
        return self.head(self.rho(x))
