"""Leading particles of jets by particle flow: tracks, neutral ECAL and HCAL candidates."""

import torch
from torch import Tensor
from torch.nn import functional

from topmass.features.hits import Hits
from topmass.features.image_moments import scatter_sum
from topmass.features.p4 import rapidity_phi, transverse_momentum
from topmass.features.towers import MAX_TOWERS, Towers, values_at_tracks
from topmass.layers import ETA, PHI, SIDE

PARTICLE_PARITY = (0, ETA, PHI, 0, PHI, ETA)
"""Reflections that change the sign of each column of a particle."""
PARTICLE_COLUMNS = len(PARTICLE_PARITY)
"""Columns per particle: pT in GeV, Δη and Δφ to the centre of the window, kind; for tracks also d0 and dz in cm."""
TRACK, CRYSTAL, HADRON = range(3)
"""Kinds of particles: charged particle, neutral energy in an ECAL crystal, neutral energy in an HCAL tower."""
PT_CEILING = 2.0**14
"""GeV; larger than any physical pT. Particles above it are sorted first."""
TIE_BREAK = 1e-4
"""GeV per unit of Δη, and far less for Δφ: orders particles of equal pT by position.

The result thus depends neither on the order of the hits nor on how a sort treats equal values.
"""


def leading_particles(hits: Hits, towers: Towers, count: int) -> Tensor:
    """Return the leading particles (B, PARTICLE_COLUMNS, count) float32 in descending pT, padded with zeros.

    All are massless. A simulated jet has about 160. Crystals outside the `MAX_TOWERS` leading towers are ignored, and
    tracks with a larger |dz| than `towers.vertex_dz`.
    """
    jets = hits.window_eta.shape[0]
    in_slots = hits._replace(jet=towers.slot)
    candidates = [
        track_candidates(in_slots),
        neutral_ecal_candidates(in_slots, towers),
        neutral_hadron_candidates(towers),
    ]
    columns, slot = map(torch.cat, zip(*candidates, strict=True))
    selected = columns[:, 0] > 0
    if towers.vertex_dz is not None:
        selected = selected & (columns[:, 5].abs() <= towers.vertex_dz)
    positive = selected.nonzero()[:, 0]
    columns, jet = columns[positive], jet_index_from_slot(slot[positive])
    pt, eta, phi = columns[:, :3].unbind(1)
    order = (jet * PT_CEILING - pt.clamp(max=PT_CEILING - 1) + (eta + phi / SIDE) * TIE_BREAK).sort().indices
    columns, jet = columns[order], jet[order]
    one = torch.ones_like(jet)
    number = one.new_zeros(jets).index_add_(0, jet, one)
    rank = one.cumsum(0) - 1 - (number.cumsum(0) - number)[jet]
    leading = (rank < count).nonzero()[:, 0]
    index = jet[leading] * count + rank[leading]
    return scatter_sum(columns[leading], index, jets * count).view(jets, count, PARTICLE_COLUMNS).mT.float()


def track_candidates(hits: Hits) -> tuple[Tensor, Tensor]:
    """Return columns (N, PARTICLE_COLUMNS) of tracks, and their tower slots (N,).

    A track, its d0 and its dz are on the same pixel. `hits.jet` is the tower slot.
    """
    tracks = hits.of("track_pt")
    impact = [values_at_tracks(hits.of(layer), tracks) for layer in ("track_d0", "track_dz")]
    kind = torch.full_like(tracks.value, TRACK)
    return torch.stack([tracks.value, tracks.eta, tracks.phi, kind, *impact], dim=1), tracks.jet


def neutral_ecal_candidates(hits: Hits, towers: Towers) -> tuple[Tensor, Tensor]:
    """Return columns (N, PARTICLE_COLUMNS) of ECAL crystals, and their tower slots (N,).

    The energy of a crystal is multiplied by the neutral fraction of its tower. `hits.jet` is the tower slot.
    """
    crystals = hits.of("ecal")
    fraction = functional.pad(towers.flow.neutral_fraction, (0, 1)).flatten()[crystals.jet]
    window_eta = hits.window_eta[jet_index_from_slot(crystals.jet)]
    pt = crystals.value * fraction / torch.cosh(crystals.eta + window_eta)
    kind, zero = torch.full_like(pt, CRYSTAL), torch.zeros_like(pt)
    return torch.stack([pt, crystals.eta, crystals.phi, kind, zero, zero], dim=1), crystals.jet


def neutral_hadron_candidates(towers: Towers) -> tuple[Tensor, Tensor]:
    """Return columns (N, PARTICLE_COLUMNS) of the neutral HCAL energy of towers, and their slots (N,)."""
    momenta = towers.flow.neutral_hadrons
    pt = transverse_momentum(momenta.mT)
    kind, zero = torch.full_like(pt, HADRON), torch.zeros_like(pt)
    columns = torch.stack([pt, *rapidity_phi(momenta), kind, zero, zero], dim=2)
    slots = torch.arange(pt.shape[0] * (MAX_TOWERS + 1), device=pt.device).view(-1, MAX_TOWERS + 1)[:, :-1]
    return columns.flatten(0, 1), slots.flatten()


def jet_index_from_slot(slot: Tensor) -> Tensor:
    """Return the index of the jet (N,) of each tower slot (N,)."""
    return torch.div(slot, MAX_TOWERS + 1, rounding_mode="floor")
