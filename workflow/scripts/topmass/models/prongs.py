"""Network `prongs`: soft assignment of particles to learned prongs."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.features.hits import Hits
from topmass.features.p4 import massless_p4, minkowski_dot, rapidity_phi, transverse_momentum
from topmass.features.particles import CRYSTAL, HADRON, PARTICLE_PARITY, TRACK, leading_particles
from topmass.features.towers import Towers
from topmass.models.constituents import JET_DIM, MASK_VALUE, ConstituentNetwork
from topmass.models.network import InputNorm, mlp, zero_init_head
from topmass.preprocessing.shards import ShardMeta

N_PARTICLE_FEATURES = 13
"""Features of a particle alone; see `particle_features`."""
N_EDGE_FEATURES = 3
"""Edge features of a particle–prong pair: ΔR, invariant mass, assignment weight."""
N_POOL_HEADS = 4
"""Learned weighted means over all particles."""
EPS = 1e-2
"""GeV, or radians: lower bound of the argument of a logarithm."""
D0_UNIT, DZ_UNIT = 0.05, 0.2
"""cm; impact parameters saturate at some of these."""


class Prongs(ConstituentNetwork):
    """Soft assignment of the leading particles of a jet to learned prongs.

    Args:
        particles: Number of leading particles N.
        prongs: Number of learned prongs P.
        width: Features per particle.
        num_layers: Assignment layers.
        vertex_dz: Maximum |dz| in cm of tracks from the hard collision; others are removed. None: no track is removed.
    """

    def __init__(
        self,
        shards: ShardMeta,
        n_outputs: int,
        particles: int = 64,
        prongs: int = 8,
        width: int = 48,
        num_layers: int = 3,
        vertex_dz: float | None = None,
    ) -> None:
        super().__init__(shards, n_outputs, PARTICLE_PARITY, particles)
        self.particles, self.vertex_dz = particles, vertex_dz
        self.backbone = ProngNet(self.n_jet_features, prongs, width, num_layers, n_outputs)

    def extract_constituents(self, hits: Hits, towers: Towers) -> Tensor:
        """Return the leading particles. See `ConstituentNetwork.extract_constituents`."""
        return leading_particles(hits, towers, self.particles)


class ProngNet(nn.Module):
    """Backbone of `Prongs`: jet features (B, K) and particles (B, columns, N) to outputs (B, n_outputs)."""

    def __init__(self, n_features: int, prongs: int, width: int, num_layers: int, n_outputs: int) -> None:
        super().__init__()
        self.jet_norm, self.particle_norm = InputNorm(n_features), InputNorm(N_PARTICLE_FEATURES)
        self.jet_embedding = mlp(n_features, JET_DIM, 2)
        self.particle_embedding = nn.Linear(N_PARTICLE_FEATURES, width)
        self.layers = nn.ModuleList(ProngLayer(prongs, width, first=layer == 0) for layer in range(num_layers))
        self.head = nn.Sequential(*mlp(JET_DIM, JET_DIM, 1), zero_init_head(JET_DIM, n_outputs))

    @torch.no_grad()
    def fit_input_norm(self, features: Tensor, particles: Tensor) -> None:
        """Fit the normalisation to these jets and to their particles, padding excluded."""
        self.jet_norm.fit(features)
        self.particle_norm.fit(particle_features(particles)[particle_mask(particles)])

    def forward(self, features: Tensor, particles: Tensor) -> Tensor:
        """Return outputs (B, n_outputs) float32."""
        jet = self.jet_embedding(self.jet_norm(features))
        x = self.particle_embedding(self.particle_norm(particle_features(particles)))
        p4, mask = particle_p4(particles), particle_mask(particles)[..., None]
        edges = x[..., :0]
        for layer in self.layers:
            jet, x, edges = layer(jet, x, edges, p4, mask)
        return self.head(jet)


class ProngLayer(nn.Module):
    """Soft-assignment layer: particles → prongs → jet. All updates are residual.

    Args:
        prongs: Number of learned prongs P.
        width: Features per particle D.
        first: True for the first layer, which has no edge features yet.
    """

    def __init__(self, prongs: int, width: int, first: bool) -> None:
        super().__init__()
        self.n_prongs = prongs
        self.norm = nn.LayerNorm(width)
        self.jet_to_particle = nn.Linear(JET_DIM, width)
        self.fc1 = nn.Linear(width + (0 if first else N_EDGE_FEATURES * prongs), 2 * width)
        self.fc2 = nn.Linear(2 * width, width)
        # The particle MLP changes nothing before training.
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)
        self.assignment_logits, self.pool_logits = nn.Linear(width, prongs), nn.Linear(width, N_POOL_HEADS)
        # pT, y, φ and mass per prong, and the mass of each pair.
        in_features = JET_DIM + N_POOL_HEADS * width + prongs * (prongs + 7) // 2
        self.jet_mlp = nn.Sequential(nn.Linear(in_features, JET_DIM), nn.GELU(), nn.Linear(JET_DIM, JET_DIM))

    def forward(self, jet: Tensor, x: Tensor, edges: Tensor, p4: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Update the embeddings of jets and particles.

        Args:
            jet: Jet embeddings (B, JET_DIM).
            x: Particle embeddings (B, N, D).
            edges: Edge features of the previous layer (B, N, E); E = 0 in the first.
            p4: Four-momenta of the particles (B, N, 4), GeV.
            mask: True for particles, False for padding (B, N, 1).

        Returns:
            Updated `jet`, `x` and `edges`.
        """
        x = x + self.jet_to_particle(jet)[:, None]
        x = x + self.fc2(functional.gelu(self.fc1(torch.cat([self.norm(x), edges], dim=2))))
        pool = self.pool_logits(x).masked_fill(~mask, MASK_VALUE).softmax(1)
        prongs, edges = form_prongs(self.assignment_logits(x), self.n_prongs, p4, mask)
        jet = jet + self.jet_mlp(torch.cat([jet, (pool.mT @ x).flatten(1), prongs], dim=1))
        return jet, x, edges


def form_prongs(logits: Tensor, prongs: int, p4: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Add up the particles of each prong, weighted by their assignment.

    Args:
        logits: Assignment logits (B, N, P); a particle may belong to several prongs.
        prongs: Number of prongs P. In a traced ONNX model the shape of a tensor is no Python number.
        p4: Four-momenta of the particles (B, N, 4), GeV.
        mask: True for particles (B, N, 1).

    Returns:
        Prong features (B, P (P + 7) / 2): pT, Δy and Δφ to the centre of the window and mass per prong, and the mass
        of each pair; and edge features (B, N, N_EDGE_FEATURES × P). Constants bring logarithms to the order of one.
    """
    # bfloat16 is too coarse for masses, which are small differences of large numbers.
    with torch.autocast(p4.device.type, enabled=False):
        assignment = logits.float().sigmoid() * mask
        px, py, pz, energy = (assignment.mT @ p4).unbind(2)
        # Regulator: gives empty prongs a defined direction.
        prong_p4 = torch.stack([px + EPS, py, pz, energy + 2 * EPS], dim=2)
        y, phi = rapidity_phi(prong_p4.mT)
        first, second = torch.triu_indices(prongs, prongs, device=logits.device)
        mass = minkowski_dot(prong_p4, prong_p4)[:, first, second].clamp(min=1.0).log() / 4 - 2
        prong_features = torch.cat([transverse_momentum(prong_p4).log() / 2 - 2, y, phi, mass], dim=1)
        delta_y, delta_phi = (
            angle[:, :, None] - axis[:, None] for angle, axis in zip(rapidity_phi(p4.mT), (y, phi), strict=True)
        )
        delta_r = (delta_y.square() + delta_phi.square() + EPS**2).log() / 2 + 1
        pair_mass = minkowski_dot(p4, prong_p4).clamp(min=EPS).log() / 2 - 1.5
        return prong_features, torch.cat([delta_r, pair_mass, 2 * assignment - 1], dim=2)


def particle_features(particles: Tensor) -> Tensor:
    """Return features (B, N, N_PARTICLE_FEATURES) of particles (B, columns, N).

    They are the logarithms of pT and of its fraction of the jet's pT; η, φ and ΔR to the centre of the window and to
    the jet axis; the kind of the particle; and its impact parameters.
    """
    pt, eta, phi, kind, d0, dz = particles.unbind(1)
    total = particle_p4(particles).sum(1)
    fraction = pt / transverse_momentum(total)[:, None].clamp(min=EPS)
    to_axis = [angle - axis[:, None] for angle, axis in zip((eta, phi), rapidity_phi(total), strict=True)]
    kinds = [(kind == value).to(pt.dtype) for value in (TRACK, CRYSTAL, HADRON)]
    impact = [(length / unit).tanh().abs() for length, unit in ((d0, D0_UNIT), (dz, DZ_UNIT))]
    logarithms = [pt.clamp(min=EPS).log(), fraction.clamp(min=EPS**2).log()]
    return torch.stack(
        [*logarithms, eta, phi, torch.hypot(eta, phi), *to_axis, torch.hypot(*to_axis), *kinds, *impact], dim=2
    )


def particle_p4(particles: Tensor) -> Tensor:
    """Return four-momenta (B, N, 4) of particles (B, columns, N), GeV."""
    return massless_p4(*particles[:, :3].unbind(1)).mT


def particle_mask(particles: Tensor) -> Tensor:
    """Return a mask (B, N): True for particles, False for padding, which has no pT."""
    return particles[:, 0] > 0
