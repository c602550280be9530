"""Hits added up in the towers of HCAL."""

from typing import NamedTuple

import torch
from torch import Tensor

from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE, TOWER
from topmass.learning.kinematics.four_momenta import TINY, directions, massless
from topmass.learning.kinematics.hits import NUMBER, Hits
from topmass.learning.kinematics.particle_flow import Flow, particle_flow
from topmass.learning.kinematics.quantities import CALORIMETERS, PIXEL_BARREL

ACROSS = SIDE // TOWER
"""Towers a side of the window."""
MOST = 128
"""Towers of a jet that are kept, the hardest. One simulated jet in two hundred has more, and loses some 0.1 GeV."""
DISPLACED = 0.02
"""cm; a track with a larger |d0| does not come from the beam."""
D0_UNIT, MOST_D0 = 0.05, 3.0
"""A displaced track counts by its |d0|, in so many cm and no more than so many times."""


class Towers(NamedTuple):
    """The hardest T = MOST towers of B jets, float64; zeros where a jet has fewer.

    Momenta are as `four_momenta.massless` has them; `contents` (B, C, T) by CONTENTS; `pt`, and `rapidity` and `phi`
    from the middle of the window, (B, T), of particle flow. Differences of rapidity, unlike those of η, do not change
    with the frame along the beam. `slot` (V,) is the tower of each hit, one of B × (MOST + 1); the last of a jet is
    none.
    """

    flow: Flow
    contents: Tensor
    pt: Tensor
    rapidity: Tensor
    phi: Tensor
    slot: Tensor

    @property
    def momenta(self) -> tuple[Tensor, ...]:
        """Momenta (B, 4, T) by FLAVOURS."""
        return self.flow.momenta


def find_towers(hits: Hits) -> Towers:
    """The towers of jets; a hit of value zero is none, and the order of hits decides nothing."""
    slot, number = find_slots(hits)
    # From here on it is the slot, of B × (MOST + 1), that a hit belongs to.
    hits = hits._replace(jet=slot)
    energy, eta, phi, hcal, pixel_hits = of_cells(hits, number)
    tracks, jets = hits.of("track_pt"), number.shape[0]
    charged = torch.stack([in_slots(each, tracks, jets) for each in massless(*tracks[2:5]).unbind(1)], dim=1)
    flow = particle_flow(charged, energy, hcal, eta, phi, hits.window_eta[:, None])
    pt = torch.hypot(flow.momenta[0][:, 0], flow.momenta[0][:, 1])
    contents = [
        pixel_hits, in_slots((tracks.value > 0).double(), tracks, jets), (pt > 0).double(), energy,
        displaced(tracks, hits.of("track_d0"), jets),
    ]  # fmt: skip
    return Towers(flow, torch.stack(contents, dim=1), pt, *directions(flow.momenta[0]), slot)


def find_slots(hits: Hits) -> tuple[Tensor, Tensor]:
    """The slot of each hit (V,), one of B × (MOST + 1), and the number of the tower (B, MOST) in each but the last.

    The last slot of a jet is for what is in none of its hardest towers, which are in the order of their numbers.
    """
    jets = hits.window_eta.shape[0]
    row, column = (
        (each / (TOWER * pixel)).add_(ACROSS / 2).long()
        for each, pixel in ((hits.eta, PIXEL_ETA), (hits.phi, PIXEL_PHI))
    )
    tower = (hits.jet * ACROSS + row) * ACROSS + column
    # About the transverse momentum.
    of_tracks, of_cells = (
        torch.tensor([float(name in names) for name in NUMBER], dtype=torch.float64).to(tower.device, non_blocking=True)
        for names in (("track_pt",), CALORIMETERS)
    )
    per_value = of_tracks + of_cells / torch.cosh(hits.window_eta)[:, None]
    hardness = hits.value * per_value.flatten()[hits.jet * len(NUMBER) + hits.layer]
    hardness = hardness.new_zeros(jets * ACROSS**2).index_add_(0, tower, hardness).view(jets, ACROSS**2)
    kept = torch.zeros_like(hardness, dtype=torch.bool)
    kept.scatter_(1, hardness.float().topk(MOST, dim=1, sorted=False).indices, 1)
    slot = (kept.cumsum(1, dtype=torch.int64) - 1).masked_fill_(~kept, MOST)
    numbers = torch.arange(ACROSS**2, device=slot.device).expand(jets, -1)
    number = slot.new_zeros(jets, MOST + 1).scatter_(1, slot, numbers)[:, :-1]
    slot += torch.arange(jets, device=slot.device)[:, None] * (MOST + 1)
    return slot.view(-1)[tower], number


def of_cells(hits: Hits, number: Tensor) -> tuple[Tensor, ...]:
    """ECAL's energy, its centroid in η and φ, HCAL's energy and the pixel hits, (B, MOST) each."""
    group = torch.full((len(NUMBER),), 3)
    for each, names in enumerate((("ecal",), ("hcal",), PIXEL_BARREL)):
        group[[NUMBER[name] for name in names]] = each
    # The layers of all cells at once: to choose some of the hits takes longer than to add up all.
    slots = number.shape[0] * (MOST + 1)
    where = group.to(number.device, non_blocking=True)[hits.layer] * slots + hits.jet

    def add_up(values: Tensor, groups: int) -> Tensor:
        found = values.new_zeros(4 * slots).index_add_(0, where, values)
        return found.view(4, number.shape[0], MOST + 1)[:groups, :, :-1]

    energy, hcal, pixel_hits = add_up(hits.value, 3)
    # Without a crystal, the middle of the tower.
    eta, phi = (
        torch.where(energy > 0, add_up(hits.value * each, 1)[0] / energy.clamp(min=TINY), middle)
        for each, middle in zip((hits.eta, hits.phi), middles_of(number), strict=True)
    )
    return energy, eta, phi, hcal, pixel_hits


def in_slots(values: Tensor, hits: Hits, jets: int) -> Tensor:
    """Sums (B, MOST) of values (V,) of hits over the slots of each jet but the last."""
    return values.new_zeros(jets * (MOST + 1)).index_add_(0, hits.jet, values).view(jets, MOST + 1)[:, :-1]


def middles_of(number: Tensor) -> tuple[Tensor, Tensor]:
    """η and φ of the middle of towers of these numbers, from the middle of the window."""
    row = torch.div(number, ACROSS, rounding_mode="floor")
    column = number - row * ACROSS
    middle = (ACROSS - 1) / 2
    return (row.double() - middle) * (TOWER * PIXEL_ETA), (column.double() - middle) * (TOWER * PIXEL_PHI)


def displaced(tracks: Hits, d0: Hits, jets: int) -> Tensor:
    """pT (B, MOST) of the displaced tracks, each times its |d0|; a track and its d0 lie on one pixel."""
    pt = torch.zeros(jets * (MOST + 1) * TOWER**2, device=tracks.value.device)
    pt.index_add_(0, pixel_of(tracks), tracks.value.float())
    size = d0.value.abs()
    weight = torch.where(size > DISPLACED, (size / D0_UNIT).clamp(max=MOST_D0), 0.0)
    return in_slots(pt[pixel_of(d0)] * weight, d0, jets)


def pixel_of(hits: Hits) -> Tensor:
    """The pixel of each hit, among those of all slots."""
    row, column = (
        (each / pixel).add_(SIDE / 2).long() % TOWER for each, pixel in ((hits.eta, PIXEL_ETA), (hits.phi, PIXEL_PHI))
    )
    return (hits.jet * TOWER + row) * TOWER + column
