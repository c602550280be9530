"""Sums of hits per HCAL tower."""

from typing import NamedTuple

import torch
from torch import Tensor

from topmass.features.feature_registry import CALORIMETERS, PIXEL_BARREL
from topmass.features.hits import LAYER_INDEX, Hits
from topmass.features.p4 import P4_EPS, massless_p4, rapidity_phi
from topmass.features.particle_flow import ParticleFlow, particle_flow
from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE, TOWER

TOWERS_PER_SIDE = SIDE // TOWER
"""Towers per side of the window."""
MAX_TOWERS = 128
"""Number of leading towers that are used per jet. One simulated jet in 200 has more, and loses about 0.1 GeV."""
NEGATIVE_ENERGY_WEIGHT = 1e-6
"""Factor on negative energies in the choice of the leading towers."""
MIN_DISPLACED_D0 = 0.02
"""cm; a track with a larger |d0| is displaced: it does not come from the beam."""
D0_UNIT, MOST_D0 = 0.05, 3.0
"""The weight of a displaced track is |d0| / `D0_UNIT`, with `D0_UNIT` in cm, and `MOST_D0` at most."""


class Towers(NamedTuple):
    """The leading T = `MAX_TOWERS` towers of B jets, float64, padded with zeros.

    Attributes:
        flow: Four-momenta, in the frame of `massless_p4`.
        contents: Observables (B, C, T) in the order of `TOWER_OBSERVABLES`.
        pt: pT (B, T) by particle flow, GeV.
        rapidity: Δy (B, T) to the centre of the window, by particle flow. Unlike Δη it is invariant under boosts along
            the beam.
        phi: Δφ (B, T) to the centre of the window, by particle flow.
        slot: Tower slot (V,) of each hit, one of B × (T + 1). The last slot of a jet is for hits in no leading tower.
        vertex_dz: Maximum |dz| in cm of tracks from the hard collision. Others are removed after particle flow: the
            energy that they leave in the calorimeters is still subtracted. None: no track is removed.
    """

    flow: ParticleFlow
    contents: Tensor
    pt: Tensor
    rapidity: Tensor
    phi: Tensor
    slot: Tensor
    vertex_dz: float | None = None

    @property
    def momenta(self) -> tuple[Tensor, ...]:
        """Four-momenta (B, 4, T) by `MOMENTUM_DEFINITIONS`."""
        return self.flow.momenta


def build_towers(hits: Hits, vertex_dz: float | None = None) -> Towers:
    """Build the towers of jets. Hits of value zero and the order of the hits have no effect.

    Args:
        hits: Hits of jets.
        vertex_dz: As in `Towers`.
    """
    slot, number = assign_tower_slots(hits)
    # From here on, `jet` is the tower slot of a hit.
    hits = hits._replace(jet=slot)
    energy, eta, phi, hcal, pixel_hits = sum_cells(hits, number)
    tracks, jets = hits.of("track_pt"), number.shape[0]
    momenta = massless_p4(tracks.value, tracks.eta, tracks.phi).unbind(1)
    charged = torch.stack([sum_hits_per_tower(component, tracks, jets) for component in momenta], dim=1)
    pileup = None
    if vertex_dz is not None:
        of_pileup = (values_at_tracks(hits.of("track_dz"), tracks).abs() > vertex_dz).double()
        pileup = torch.stack([sum_hits_per_tower(component * of_pileup, tracks, jets) for component in momenta], dim=1)
        tracks = tracks._replace(value=tracks.value * (1 - of_pileup))
    flow = particle_flow(charged, energy, hcal, eta, phi, hits.window_eta[:, None], pileup)
    pt = torch.hypot(flow.momenta[0][:, 0], flow.momenta[0][:, 1])
    contents = [
        pixel_hits, sum_hits_per_tower((tracks.value > 0).double(), tracks, jets), (pt > 0).double(), energy,
        displaced_tracks(tracks, hits.of("track_d0"), jets),
    ]  # fmt: skip
    return Towers(flow, torch.stack(contents, dim=1), pt, *rapidity_phi(flow.momenta[0]), slot, vertex_dz)


def assign_tower_slots(hits: Hits) -> tuple[Tensor, Tensor]:
    """Choose the leading towers of each jet and assign hits to their slots.

    Returns:
        Slot (V,) of each hit, as in `Towers.slot`; and number (B, MAX_TOWERS) of the tower in each slot except the last
        of a jet. Towers are in the order of their numbers.
    """
    jets = hits.window_eta.shape[0]
    row, column = (
        (position / (TOWER * pixel)).add_(TOWERS_PER_SIDE / 2).long()
        for position, pixel in ((hits.eta, PIXEL_ETA), (hits.phi, PIXEL_PHI))
    )
    tower = (hits.jet * TOWERS_PER_SIDE + row) * TOWERS_PER_SIDE + column
    # Weight per hit such that a sum is approximately the transverse momentum.
    is_track, is_cell = (
        torch.tensor([float(name in names) for name in LAYER_INDEX], dtype=torch.float64).to(
            tower.device, non_blocking=True
        )
        for names in (("track_pt",), CALORIMETERS)
    )
    weight = is_track + is_cell / torch.cosh(hits.window_eta)[:, None]
    # Negative energies get a tiny weight. The order is: towers with a track, empty towers, towers of negative energy.
    value = hits.value.maximum(hits.value * NEGATIVE_ENERGY_WEIGHT)
    pt = value * weight.flatten()[hits.jet * len(LAYER_INDEX) + hits.layer]
    pt = pt.new_zeros(jets * TOWERS_PER_SIDE**2).index_add_(0, tower, pt).view(jets, TOWERS_PER_SIDE**2)
    leading = torch.zeros_like(pt, dtype=torch.bool)
    leading.scatter_(1, pt.float().topk(MAX_TOWERS, dim=1, sorted=False).indices, 1)
    slot = (leading.cumsum(1, dtype=torch.int64) - 1).masked_fill_(~leading, MAX_TOWERS)
    numbers = torch.arange(TOWERS_PER_SIDE**2, device=slot.device).expand(jets, -1)
    number = slot.new_zeros(jets, MAX_TOWERS + 1).scatter_(1, slot, numbers)[:, :-1]
    slot += torch.arange(jets, device=slot.device)[:, None] * (MAX_TOWERS + 1)
    return slot.view(-1)[tower], number


def sum_cells(hits: Hits, number: Tensor) -> tuple[Tensor, ...]:
    """Sum the calorimeter and pixel hits per tower.

    Args:
        hits: Hits with the tower slot as `jet`.
        number: Numbers (B, MAX_TOWERS) of the towers.

    Returns:
        ECAL energy, its centroid in Δη and Δφ, HCAL energy, and number of pixel hits, (B, MAX_TOWERS) each.
    """
    group = torch.full((len(LAYER_INDEX),), 3)
    for index, names in enumerate((("ecal",), ("hcal",), PIXEL_BARREL)):
        group[[LAYER_INDEX[name] for name in names]] = index
    # All hits are summed in one operation: selecting some of them takes longer.
    slots = number.shape[0] * (MAX_TOWERS + 1)
    index = group.to(number.device, non_blocking=True)[hits.layer] * slots + hits.jet

    def sum_groups(values: Tensor, groups: int) -> Tensor:
        sums = values.new_zeros(4 * slots).index_add_(0, index, values)
        return sums.view(4, number.shape[0], MAX_TOWERS + 1)[:groups, :, :-1]

    energy, hcal, pixel_hits = sum_groups(hits.value, 3)
    centroid = []
    axes = zip((hits.eta, hits.phi), tower_centres(number), (PIXEL_ETA, PIXEL_PHI), strict=True)
    for position, centre, pixel in axes:
        # Without ECAL energy, use the centre of the tower. The centroid of energies of both signs may be far away if
        # their sum is close to zero, so it is clamped to the tower.
        mean = torch.where(energy > 0, sum_groups(hits.value * position, 1)[0] / energy.clamp(min=P4_EPS), centre)
        centroid.append(mean.maximum(centre - pixel * TOWER / 2).minimum(centre + pixel * TOWER / 2))
    return energy, *centroid, hcal, pixel_hits


def sum_hits_per_tower(values: Tensor, hits: Hits, jets: int) -> Tensor:
    """Return sums (B, MAX_TOWERS) of values (V,) over the hits of each tower; `hits.jet` is the tower slot."""
    return values.new_zeros(jets * (MAX_TOWERS + 1)).index_add_(0, hits.jet, values).view(jets, MAX_TOWERS + 1)[:, :-1]


def tower_centres(number: Tensor) -> tuple[Tensor, Tensor]:
    """Return Δη and Δφ between the centres of towers, given by number, and the centre of the window."""
    row = torch.div(number, TOWERS_PER_SIDE, rounding_mode="floor")
    column = number - row * TOWERS_PER_SIDE
    centre = (TOWERS_PER_SIDE - 1) / 2
    return (row.double() - centre) * (TOWER * PIXEL_ETA), (column.double() - centre) * (TOWER * PIXEL_PHI)


def displaced_tracks(tracks: Hits, d0: Hits, jets: int) -> Tensor:
    """Return the summed pT (B, MAX_TOWERS) of displaced tracks, weighted by |d0|.

    A track and its d0 are on the same pixel. The `jet` of both is the tower slot.
    """
    pt = torch.zeros(jets * (MAX_TOWERS + 1) * TOWER**2, device=tracks.value.device)
    pt.index_add_(0, tower_pixel(tracks), tracks.value.float())
    size = d0.value.abs()
    weight = torch.where(size > MIN_DISPLACED_D0, (size / D0_UNIT).clamp(max=MOST_D0), 0.0)
    return sum_hits_per_tower(pt[tower_pixel(d0)] * weight, d0, jets)


def values_at_tracks(layer: Hits, tracks: Hits) -> Tensor:
    """Return the values (V,) of a layer at the pixels of V tracks; the `jet` of both is the tower slot."""
    values = layer.value.new_zeros(layer.window_eta.shape[0] * (MAX_TOWERS + 1) * TOWER**2)
    return values.index_add_(0, tower_pixel(layer), layer.value)[tower_pixel(tracks)]


def tower_pixel(hits: Hits) -> Tensor:
    """Return the index (V,) of the pixel of each hit, among the pixels of all tower slots."""
    row, column = (
        (position / pixel).add_(SIDE / 2).long() % TOWER
        for position, pixel in ((hits.eta, PIXEL_ETA), (hits.phi, PIXEL_PHI))
    )
    return (hits.jet * TOWER + row) * TOWER + column
