"""Particle flow by tower: what is charged as the tracks have it, the rest as the calorimeters do."""

from typing import NamedTuple

import torch
from torch import Tensor

from topmass.learning.kinematics.four_momenta import TINY, massless

RESPONSE = 0.8
"""Of the energy of a track, what the calorimeters are taken to have seen."""


class Flow(NamedTuple):
    """What T towers of B jets have.

    `momenta` (B, 4, T) by FLAVOURS: of particle flow, of cells alone and of tracks alone; `neutral` (B, T) the share of
    ECAL's energy that belongs to no track, `beyond` (B, 4, T) the momentum of what HCAL sees beyond the tracks.
    """

    momenta: tuple[Tensor, ...]
    neutral: Tensor
    beyond: Tensor


def particle_flow(charged: Tensor, ecal: Tensor, hcal: Tensor, eta: Tensor, phi: Tensor, window: Tensor) -> Flow:
    """Of the towers with these sums.

    `charged` (B, 4, T) of the tracks, `ecal` and `hcal` (B, T) energies, `eta` and `phi` (B, T) of what ECAL
    has, from the middle of the window, and `window` (B, 1) the η of that. Tracks measure charged energy best. What the
    calorimeters see beyond their response to it is neutral: HCAL takes what is charged first, ECAL the rest, and what
    HCAL has left counts if it is more than √E of the tracks.
    """
    boost = window.cosh(), window.sinh()
    # Massless, and of the rapidity of the tracks: what is the same in each frame along the beam.
    x, y, z, e = charged.unbind(1)
    stretch = ((e + z) * (e - z)).clamp(min=0).sqrt() / torch.hypot(x, y).clamp(min=TINY)
    along = torch.stack([x * stretch, y * stretch, z, e], dim=1)
    # Momenta of one GeV. HCAL knows no direction finer than its tower; that of the tracks is better, or of ECAL.
    per_ecal = massless(1 / (eta + window).cosh(), eta, phi)
    of_tracks = energy_of(charged, *boost)
    tracked = of_tracks[:, None]
    per_hcal = torch.where(tracked > 0, along / tracked.clamp(min=TINY), per_ecal)
    seen = RESPONSE * of_tracks
    beyond = (hcal - seen).clamp(min=0)
    beyond = beyond.masked_fill(beyond < of_tracks.sqrt(), 0.0)
    neutral = (ecal - (seen - hcal).clamp(min=0)).clamp(min=0)
    cells = torch.addcmul(ecal[:, None] * per_ecal, hcal[:, None], per_hcal)
    mixed = torch.addcmul(torch.addcmul(charged, neutral[:, None], per_ecal), beyond[:, None], per_hcal)
    return Flow((mixed, cells, charged), neutral / ecal.clamp(min=TINY), beyond[:, None] * per_hcal)


def energy_of(momentum: Tensor, cosh: Tensor, sinh: Tensor) -> Tensor:
    """Energies (B, T) of momenta (B, 4, T) in the frame of the detector."""
    return momentum[:, 3] * cosh + momentum[:, 2] * sinh
