"""Sums over sparse images, on the device where they are. `quantities.SUMS` says what each of them is."""

from collections.abc import Sequence

import torch
from torch import Tensor

from topmass.layers import LAYERS
from topmass.learning.kinematics.four_momenta import mass, massless, transverse
from topmass.learning.kinematics.hits import NUMBER, Hits
from topmass.learning.kinematics.quantities import CALORIMETERS, CONES, SUMS, TRACK_CONES, given
from topmass.preprocessing.shards import ShardMeta

LEAST_ENERGY = 1e-3
"""GeV; of a jet with less, or with none, a mean by energy is what it would be with this."""


def sums(hits: Hits, meta: ShardMeta) -> Tensor:
    """Sums (B, K) float32 over the images of B jets, in the order of `given(SUMS, meta)`; all are finite.

    A jet without a value in some layer has zeros there. Added up in float64: the order of the values in a jet, and
    which jets are in the batch beside it, change no digit that float32 has, but for rounding.
    """
    found = of_layers(hits) | of_cells(hits.of(*CALORIMETERS)) | of_tracks(hits.of("track_pt"))
    return torch.stack([found[each.name] for each in given(SUMS, meta)], dim=1).float()


def of_layers(hits: Hits) -> dict[str, Tensor]:
    """Cells with a value in each layer, and the energy in each calorimeter."""
    jets, layers = hits.window_eta.shape[0], len(LAYERS)
    columns = torch.stack([torch.ones_like(hits.value), hits.value], dim=1)
    hit, value = add_up(columns, hits.jet * layers + hits.layer, jets * layers).view(jets, layers, 2).unbind(2)
    found = {f"{layer.name}_hits": hit[:, number] for number, layer in enumerate(LAYERS)}
    return found | {f"{name}_energy": value[:, NUMBER[name]] for name in CALORIMETERS}


def of_cells(cells: Hits) -> dict[str, Tensor]:
    """Masses and momenta in cones, and means by energy."""
    energy, eta, phi = cells.value, cells.eta, cells.phi
    momenta = massless(energy / torch.cosh(cells.window_eta[cells.jet] + eta), eta, phi)
    found = {}
    for radius, inside in zip(CONES, within(CONES, cells, momenta), strict=True):
        found |= {f"cells_mass_{radius}": mass(inside), f"cells_pt_{radius}": transverse(inside)}
    r = torch.hypot(eta, phi)
    means = {
        "mean_eta": eta, "mean_phi": phi, "mean_eta_eta": eta**2, "mean_phi_phi": phi**2, "mean_eta_phi": eta * phi,
        "mean_r": r, "mean_r_r_r": r**3, "concentration": energy,
    }  # fmt: skip
    columns = torch.stack([torch.ones_like(r), *means.values()], dim=1) * energy[:, None]
    total, *weighted = add_up(columns, cells.jet, cells.window_eta.shape[0]).unbind(1)
    total = total.clamp(min=LEAST_ENERGY)
    found |= {name: each / total for name, each in zip(means, weighted, strict=True)}
    return found | {"concentration": found["concentration"] / total}


def of_tracks(tracks: Hits) -> dict[str, Tensor]:
    """Masses, momenta and multiplicities in cones."""
    momenta = massless(tracks.value, tracks.eta, tracks.phi)
    columns = torch.cat([momenta, torch.ones_like(momenta[:, :1])], dim=1)
    found = {}
    for radius, inside in zip(TRACK_CONES, within(TRACK_CONES, tracks, columns), strict=True):
        found |= {f"tracks_mass_{radius}": mass(inside), f"tracks_pt_{radius}": transverse(inside)}
        found |= {f"tracks_{radius}": inside[:, 4]}
    return found


def within(radii: Sequence[float], hits: Hits, columns: Tensor) -> list[Tensor]:
    """For each radius, which rise, the sums (B, K) of columns (V, K) over the hits within."""
    jets, rings = hits.window_eta.shape[0], len(radii) + 1
    # Each hit is added once, to its ring; a cone is made of rings.
    edges = torch.tensor(radii, dtype=torch.float64).to(columns.device, non_blocking=True)
    ring = torch.bucketize(torch.hypot(hits.eta, hits.phi), edges, right=True)
    found = add_up(columns, hits.jet * rings + ring, jets * rings)
    return list(found.view(jets, rings, columns.shape[1]).cumsum(1).unbind(1)[:-1])


def add_up(columns: Tensor, where: Tensor, size: int) -> Tensor:
    """Sums (size, K) of columns (V, K), each row to the place `where` (V,) says."""
    return columns.new_zeros(size, columns.shape[1]).index_add_(0, where, columns)
