"""Particle flow per tower: charged momentum from tracks, neutral momentum from calorimeters."""

from typing import NamedTuple

import torch
from torch import Tensor

from topmass.features.p4 import P4_EPS, massless_p4

CALO_RESPONSE = 0.8
"""Assumed fraction of the energy of a track that the calorimeters measure."""


class ParticleFlow(NamedTuple):
    """Particle-flow result for T towers of B jets.

    Attributes:
        momenta: Four-momenta (B, 4, T), GeV, by `MOMENTUM_DEFINITIONS`: particle flow, cells alone, tracks alone.
        neutral: Neutral fraction (B, T) of the ECAL energy.
        beyond: Four-momenta (B, 4, T), GeV, of the neutral HCAL energy.
    """

    momenta: tuple[Tensor, ...]
    neutral: Tensor
    beyond: Tensor


def particle_flow(
    charged: Tensor, ecal: Tensor, hcal: Tensor, eta: Tensor, phi: Tensor, window: Tensor
) -> ParticleFlow:
    """Combine tracks and calorimeters in each tower.

    Charged energy is taken from the tracks, which measure it best. The expected calorimeter response to it is
    subtracted from HCAL first, and the rest from ECAL. The remaining energy is neutral. The HCAL remainder counts only
    if it is at least √E of the tracks.

    Args:
        charged: Summed four-momenta (B, 4, T) of the tracks, GeV.
        ecal: ECAL energies (B, T), GeV.
        hcal: HCAL energies (B, T), GeV.
        eta: Δη (B, T) between the ECAL centroid and the centre of the window.
        phi: Δφ (B, T) between the same points.
        window: η (B, 1) of the centre of the window.
    """
    boost = window.cosh(), window.sinh()
    # Massless, with the rapidity of the tracks: this is invariant under boosts along the beam.
    x, y, z, e = charged.unbind(1)
    stretch = ((e + z) * (e - z)).clamp(min=0).sqrt() / torch.hypot(x, y).clamp(min=P4_EPS)
    along = torch.stack([x * stretch, y * stretch, z, e], dim=1)
    # Four-momenta of 1 GeV. HCAL resolves no direction within a tower, so use that of the tracks, else that of ECAL.
    per_ecal = massless_p4(1 / (eta + window).cosh(), eta, phi)
    of_tracks = energy_from_p4(charged, *boost)
    # Tracks of both signs may add up to an unphysical four-momentum.
    real = ((e > 0) & (z.abs() <= e))[:, None]
    per_hcal = torch.where(real, along / of_tracks[:, None].clamp(min=P4_EPS), per_ecal)
    seen = CALO_RESPONSE * of_tracks
    beyond = (hcal - seen).clamp(min=0)
    beyond = beyond.masked_fill(beyond < of_tracks.clamp(min=0).sqrt(), 0.0)
    neutral = (ecal - (seen - hcal).clamp(min=0)).clamp(min=0)
    cells = torch.addcmul(ecal[:, None] * per_ecal, hcal[:, None], per_hcal)
    mixed = torch.addcmul(torch.addcmul(charged, neutral[:, None], per_ecal), beyond[:, None], per_hcal)
    return ParticleFlow((mixed, cells, charged), neutral / ecal.clamp(min=P4_EPS), beyond[:, None] * per_hcal)


def energy_from_p4(momentum: Tensor, cosh: Tensor, sinh: Tensor) -> Tensor:
    """Return energies (B, T) in the detector frame.

    Args:
        momentum: Four-momenta (B, 4, T) in the frame of `massless_p4`.
        cosh: cosh η (B, 1) of the centre of the window.
        sinh: sinh η (B, 1) of the centre of the window.
    """
    return momentum[:, 3] * cosh + momentum[:, 2] * sinh
