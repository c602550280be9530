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
    found = layer_sums(hits) | cell_moments(hits.of(*CALORIMETERS)) | track_moments(hits.of("track_pt"))
    return torch.stack([found[each.name] for each in available_features(MOMENT_FEATURES, meta)], dim=1).float()


def layer_sums(hits: Hits) -> dict[str, Tensor]:
    """Compute the number of hits per layer, and the energy per calorimeter."""
    jets, layers = hits.window_eta.shape[0], len(LAYERS)
    columns = torch.stack([torch.ones_like(hits.value), hits.value], dim=1)
    hit, value = scatter_sum(columns, hits.jet * layers + hits.layer, jets * layers).view(jets, layers, 2).unbind(2)
    found = {f"{layer.name}_hits": hit[:, number] for number, layer in enumerate(LAYERS)}
    return found | {f"{name}_energy": value[:, LAYER_INDEX[name]] for name in CALORIMETERS}


def cell_moments(cells: Hits) -> dict[str, Tensor]:
    """Compute masses and momenta in cones, and energy-weighted means, from calorimeter cells."""
    energy, eta, phi = cells.value, cells.eta, cells.phi
    momenta = massless_p4(energy / torch.cosh(cells.window_eta[cells.jet] + eta), eta, phi)
    found = {}
    for radius, inside in zip(CONES, cone_sums(CONES, cells, momenta), strict=True):
        found |= {f"cells_mass_{radius}": invariant_mass(inside), f"cells_pt_{radius}": transverse_momentum(inside)}
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
    found |= {name: each / total for name, each in zip(means, weighted, strict=True)}
    return found | {"concentration": found["concentration"] / total}


def track_moments(tracks: Hits) -> dict[str, Tensor]:
    """Compute masses, momenta and multiplicities of tracks in cones."""
    momenta = massless_p4(tracks.value, tracks.eta, tracks.phi)
    columns = torch.cat([momenta, torch.ones_like(momenta[:, :1])], dim=1)
    found = {}
    for radius, inside in zip(TRACK_CONES, cone_sums(TRACK_CONES, tracks, columns), strict=True):
        found |= {f"tracks_mass_{radius}": invariant_mass(inside), f"tracks_pt_{radius}": transverse_momentum(inside)}
        found |= {f"tracks_{radius}": inside[:, 4]}
    return found


def cone_sums(radii: Sequence[float], hits: Hits, columns: Tensor) -> list[Tensor]:
    """Sum columns over the hits within each cone around the centre of the window.

    Args:
        radii: Radii ΔR in ascending order.
        hits: V hits of B jets.
        columns: Values per hit (V, K).

    Returns:
        Sums (B, K) for each radius.
    """
    jets, rings = hits.window_eta.shape[0], len(radii) + 1
    # Each hit is added once, to its ring. A cone is a cumulative sum over rings.
    edges = torch.tensor(radii, dtype=torch.float64).to(columns.device, non_blocking=True)
    ring = torch.bucketize(torch.hypot(hits.eta, hits.phi), edges, right=True)
    found = scatter_sum(columns, hits.jet * rings + ring, jets * rings)
    return list(found.view(jets, rings, columns.shape[1]).cumsum(1).unbind(1)[:-1])


def scatter_sum(columns: Tensor, where: Tensor, size: int) -> Tensor:
    """Return sums (size, K) of columns (V, K); row i is added at index `where[i]`, with `where` (V,)."""
    return columns.new_zeros(size, columns.shape[1]).index_add_(0, where, columns)
