"""The hardest particles of jets, by particle flow: tracks, and what crystals and towers see beyond them."""

import torch
from torch import Tensor
from torch.nn import functional

from topmass.layers import SIDE, TOWER
from topmass.learning.kinematics.four_momenta import directions, transverse
from topmass.learning.kinematics.hits import Hits
from topmass.learning.kinematics.sums import add_up
from topmass.learning.kinematics.towers import MOST, Towers, pixel_of

COLUMNS = 6
"""Of a particle: pT in GeV, Δη and Δφ from the middle of the window, kind, and of a track d0 and dz in cm."""
TRACK, CRYSTAL, HADRON = range(3)
"""Kinds: a charged particle, what a crystal sees of neutral ones, and what a tower of HCAL does."""
SPAN = 2.0**14
"""GeV; more than any particle has."""
TIE = 1e-4
"""GeV for a unit of Δη by which a particle comes after those as hard, and far less for Δφ: so neither the order of hits
decides, nor how software sorts equal ones."""


def particles(hits: Hits, towers: Towers, count: int) -> Tensor:
    """COLUMNS (B, COLUMNS, `count`) float32 of the hardest particles, the hardest first; zeros where there are fewer.

    All are massless. A simulated jet has some 160. Crystals of other than the hardest towers have none.
    """
    jets = hits.window_eta.shape[0]
    in_slots = hits._replace(jet=towers.slot)
    found = [of_tracks(in_slots), of_crystals(in_slots, towers), of_towers(towers)]
    columns, slot = (torch.cat(each) for each in zip(*found, strict=True))
    there = (columns[:, 0] > 0).nonzero()[:, 0]
    columns, jet = columns[there], jet_of(slot[there])
    pt, eta, phi = columns[:, :3].unbind(1)
    order = (jet * SPAN - pt + (eta + phi / SIDE) * TIE).sort().indices
    columns, jet = columns[order], jet[order]
    one = torch.ones_like(jet)
    number = one.new_zeros(jets).index_add_(0, jet, one)
    rank = one.cumsum(0) - 1 - (number.cumsum(0) - number)[jet]
    kept = (rank < count).nonzero()[:, 0]
    place = jet[kept] * count + rank[kept]
    return add_up(columns[kept], place, jets * count).view(jets, count, COLUMNS).mT.float()


def of_tracks(hits: Hits) -> tuple[Tensor, Tensor]:
    """Columns (N, COLUMNS) of tracks, and their slots (N,); a track, its d0 and its dz lie on one pixel."""
    tracks = hits.of("track_pt")
    pixel, pixels = pixel_of(tracks), hits.window_eta.shape[0] * (MOST + 1) * TOWER**2
    impact = []
    for layer in ("track_d0", "track_dz"):
        each = hits.of(layer)
        impact.append(each.value.new_zeros(pixels).index_add_(0, pixel_of(each), each.value)[pixel])
    kind = torch.full_like(tracks.value, TRACK)
    return torch.stack([tracks.value, tracks.eta, tracks.phi, kind, *impact], dim=1), tracks.jet


def of_crystals(hits: Hits, towers: Towers) -> tuple[Tensor, Tensor]:
    """The same of crystals, which have the share of their energy that is neutral in their tower."""
    crystals = hits.of("ecal")
    share = functional.pad(towers.flow.neutral, (0, 1)).flatten()[crystals.jet]
    window = hits.window_eta[jet_of(crystals.jet)]
    pt = crystals.value * share / torch.cosh(crystals.eta + window)
    kind, none = torch.full_like(pt, CRYSTAL), torch.zeros_like(pt)
    return torch.stack([pt, crystals.eta, crystals.phi, kind, none, none], dim=1), crystals.jet


def of_towers(towers: Towers) -> tuple[Tensor, Tensor]:
    """The same of towers, which have what HCAL sees beyond the tracks."""
    momenta = towers.flow.beyond
    pt = transverse(momenta.mT)
    kind, none = torch.full_like(pt, HADRON), torch.zeros_like(pt)
    columns = torch.stack([pt, *directions(momenta), kind, none, none], dim=2)
    slots = torch.arange(pt.shape[0] * (MOST + 1), device=pt.device).view(-1, MOST + 1)[:, :-1]
    return columns.flatten(0, 1), slots.flatten()


def jet_of(slot: Tensor) -> Tensor:
    """The jet (N,) of each slot."""
    return torch.div(slot, MOST + 1, rounding_mode="floor")
