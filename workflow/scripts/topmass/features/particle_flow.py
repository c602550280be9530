"""Particle flow per tower: charged momentum from tracks, neutral momentum from calorimeters."""

from typing import NamedTuple

import torch
from torch import Tensor

from topmass.features.p4 import P4_EPS, massless_p4

CALO_RESPONSE = 0.8
"""Assumed fraction of the energy of a track that the calorimeters measure."""


class ParticleFlow(NamedTuple):
    """Particle-flow result for T towers of B jets; four-momenta are in the frame of `massless_p4`.

    Attributes:
        momenta: Four-momenta (B, 4, T), GeV, by `MOMENTUM_DEFINITIONS`: particle flow, cells alone, tracks alone.
        neutral_fraction: Neutral fraction (B, T) of the ECAL energy.
        neutral_hadrons: Four-momenta (B, 4, T), GeV, of the neutral HCAL energy.
    """

    momenta: tuple[Tensor, Tensor, Tensor]
    neutral_fraction: Tensor
    neutral_hadrons: Tensor


def particle_flow(
    charged: Tensor,
    ecal: Tensor,
    hcal: Tensor,
    eta: Tensor,
    phi: Tensor,
    window_eta: Tensor,
    pileup: Tensor | None = None,
) -> ParticleFlow:
    """Combine tracks and calorimeters in each tower.

    Charged energy is taken from the tracks, which measure it best. The expected calorimeter response to it is
    subtracted from HCAL first, and the rest from ECAL. The remaining energy is neutral. The HCAL remainder counts only
    if it is at least √E of the tracks.

    Args:
        charged: Summed four-momenta (B, 4, T) of the tracks, GeV, in the frame of `massless_p4`.
        ecal: ECAL energies (B, T), GeV.
        hcal: HCAL energies (B, T), GeV.
        eta: Δη (B, T) between the ECAL centroid and the centre of the window.
        phi: Δφ (B, T) between the same points.
        window_eta: η (B, 1) of the centre of the window.
        pileup: Part (B, 4, T) of `charged` from pile-up, which is removed after the subtraction; None: nothing is.
    """
    cosh, sinh = window_eta.cosh(), window_eta.sinh()
    # Massless, with the rapidity of the tracks: this is invariant under boosts along the beam.
    x, y, z, e = charged.unbind(1)
    stretch = ((e + z) * (e - z)).clamp(min=0).sqrt() / torch.hypot(x, y).clamp(min=P4_EPS)
    along = torch.stack([x * stretch, y * stretch, z, e], dim=1)
    # Four-momenta of 1 GeV. HCAL resolves no direction within a tower, so use that of the tracks, else that of ECAL.
    per_ecal = massless_p4(1 / (eta + window_eta).cosh(), eta, phi)
    # Energy of the tracks in the detector frame.
    track_energy = charged[:, 3] * cosh + charged[:, 2] * sinh
    # Tracks of both signs may add up to an unphysical four-momentum.
    physical = ((e > 0) & (z.abs() <= e))[:, None]
    per_hcal = torch.where(physical, along / track_energy[:, None].clamp(min=P4_EPS), per_ecal)
    expected = CALO_RESPONSE * track_energy
    neutral_hcal = (hcal - expected).clamp(min=0)
    neutral_hcal = neutral_hcal.masked_fill(neutral_hcal < track_energy.clamp(min=0).sqrt(), 0.0)
    neutral_ecal = (ecal - (expected - hcal).clamp(min=0)).clamp(min=0)
    cells = torch.addcmul(ecal[:, None] * per_ecal, hcal[:, None], per_hcal)
    if pileup is not None:
        charged = charged - pileup
    flow = torch.addcmul(torch.addcmul(charged, neutral_ecal[:, None], per_ecal), neutral_hcal[:, None], per_hcal)
    return ParticleFlow((flow, cells, charged), neutral_ecal / ecal.clamp(min=P4_EPS), neutral_hcal[:, None] * per_hcal)
