"""Image moments: the features in `feature_registry.MOMENT_FEATURES`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from topmass.features.feature_registry import CALORIMETERS, CONES, MOMENT_FEATURES, TRACK_CONES, available_features
from topmass.features.hits import LAYER_INDEX, Hits
from topmass.features.p4 import invariant_mass, massless_p4, transverse_momentum
from topmass.layers import LAYERS
from topmass.preprocessing.shards import ShardMeta

MIN_ENERGY = 1e-3
"""GeV; lower bound of the denominator of energy-weighted means."""


def compute_image_moments(hits: Hits, meta: ShardMeta) -> Tensor:
    """Compute the image moments of B jets.

    The sums are float64. The order of the hits and the other jets of the batch thus change the float32 result by
    rounding at most.

    Returns:
        Finite features (B, K) float32 in the order of `available_features(MOMENT_FEATURES, meta)`. They are zero for
        layers without a hit.
    """
    moments = layer_sums(hits) | cell_moments(hits.of(*CALORIMETERS)) | track_moments(hits.of("track_pt"))
    return torch.stack([moments[each.name] for each in available_features(MOMENT_FEATURES, meta)], dim=1).float()


def layer_sums(hits: Hits) -> dict[str, Tensor]:
    """Compute the number of hits per layer, and the energy per calorimeter."""
    jets, layers = hits.window_eta.shape[0], len(LAYERS)
    columns = torch.stack([torch.ones_like(hits.value), hits.value], dim=1)
    count, value = scatter_sum(columns, hits.jet * layers + hits.layer, jets * layers).view(jets, layers, 2).unbind(2)
    counts = {f"{layer.name}_hits": count[:, number] for number, layer in enumerate(LAYERS)}
    return counts | {f"{name}_energy": value[:, LAYER_INDEX[name]] for name in CALORIMETERS}


def cell_moments(cells: Hits) -> dict[str, Tensor]:
    """Compute masses and momenta in cones, and energy-weighted means, from calorimeter cells."""
    energy, eta, phi = cells.value, cells.eta, cells.phi
    momenta = massless_p4(energy / torch.cosh(cells.window_eta[cells.jet] + eta), eta, phi)
    moments = {}
    for radius, total in zip(CONES, cone_sums(CONES, cells, momenta), strict=True):
        moments |= {f"cells_mass_{radius}": invariant_mass(total), f"cells_pt_{radius}": transverse_momentum(total)}
    r = torch.hypot(eta, phi)
    means = {
        "mean_eta": eta, "mean_phi": phi, "mean_eta_eta": eta**2, "mean_phi_phi": phi**2, "mean_eta_phi": eta * phi,
        "mean_r": r, "mean_r_r_r": r**3,
    }  # fmt: skip
    # Negative cells are noise and have no weight: a sum of both signs may be close to zero.
    means["concentration"] = weight = energy.clamp(min=0)
    columns = torch.stack([torch.ones_like(r), *means.values()], dim=1) * weight[:, None]
    total, *weighted = scatter_sum(columns, cells.jet, cells.window_eta.shape[0]).unbind(1)
    total = total.clamp(min=MIN_ENERGY)
    moments |= {name: weighted_sum / total for name, weighted_sum in zip(means, weighted, strict=True)}
    return moments | {"concentration": moments["concentration"] / total}


def track_moments(tracks: Hits) -> dict[str, Tensor]:
    """Compute masses, momenta and multiplicities of tracks in cones."""
    momenta = massless_p4(tracks.value, tracks.eta, tracks.phi)
    columns = torch.cat([momenta, torch.ones_like(momenta[:, :1])], dim=1)
    moments = {}
    for radius, total in zip(TRACK_CONES, cone_sums(TRACK_CONES, tracks, columns), strict=True):
        moments |= {f"tracks_mass_{radius}": invariant_mass(total), f"tracks_pt_{radius}": transverse_momentum(total)}
        moments |= {f"tracks_{radius}": total[:, 4]}
    return moments


def cone_sums(radii: Sequence[float], hits: Hits, columns: Tensor) -> list[Tensor]:
    """Return sums (B, K) of columns (V, K) over the V hits within each cone, by ascending radius ΔR."""
    jets, rings = hits.window_eta.shape[0], len(radii) + 1
    # Each hit is added once, to its ring. A cone is a cumulative sum over rings.
    edges = torch.tensor(radii, dtype=torch.float64).to(columns.device, non_blocking=True)
    ring = torch.bucketize(torch.hypot(hits.eta, hits.phi), edges, right=True)
    sums = scatter_sum(columns, hits.jet * rings + ring, jets * rings)
    return list(sums.view(jets, rings, columns.shape[1]).cumsum(1).unbind(1)[:-1])


def scatter_sum(columns: Tensor, index: Tensor, size: int) -> Tensor:
    """Return sums (size, K) of columns (V, K); row i is added at index `index[i]`, with `index` (V,)."""
    return columns.new_zeros(size, columns.shape[1]).index_add_(0, index, columns)
