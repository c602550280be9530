"""Subjet features: the features in `feature_registry.SUBJET_FEATURES`."""

from collections.abc import Iterable

import torch
from torch import Tensor

from topmass.features.feature_registry import (
    MOMENTUM_DEFINITIONS,
    SUBJET_FEATURES,
    SUBJET_RADII,
    TOWER_CONES,
    TOWER_OBSERVABLES,
    available_features,
    subjet_combinations,
)
from topmass.features.p4 import invariant_mass, rapidity_phi, transverse_momentum
from topmass.features.towers import Towers
from topmass.preprocessing.shards import ShardMeta

MIN_SUBJET_PT = 0.5
"""GeV; minimum pT of the seed tower of a subjet."""
N_AXIS_ITERATIONS = 2
"""Number of times that the axis of a cone moves to the momentum within the cone."""


def compute_subjet_features(towers: Towers, meta: ShardMeta) -> Tensor:
    """Compute the subjet features of B jets.

    The order of the hits and the other jets of the batch change the result by rounding at most. Hits of value zero
    change nothing.

    Args:
        towers: Towers of B jets.
        meta: Metadata of the shards.

    Returns:
        Finite features (B, K) float32 in the order of `available_features(SUBJET_FEATURES, meta)`; zeros for missing
        subjets.
    """
    found = cone_features(towers)
    for (radius, count), inside in zip(SUBJET_RADII.items(), cluster_subjets(towers).unbind(1), strict=True):
        found |= features_of_radius(towers, inside[:, :count], f"subjets_{radius}")
    columns = [found[each.name] for each in available_features(SUBJET_FEATURES, meta)]
    return (
        torch.stack(columns, dim=1).float() if columns else torch.zeros(towers.pt.shape[0], 0, device=towers.pt.device)
    )


def cone_features(towers: Towers) -> dict[str, Tensor]:
    """Compute masses and momenta of all towers within cones around the centre of the window."""
    distance = torch.hypot(towers.rapidity, towers.phi)
    sets = torch.stack([distance < radius for radius in TOWER_CONES], dim=1).to(towers.pt.dtype)
    momenta = sum_p4(towers, sets)
    return {
        **label_features("towers_{}_mass_{}", invariant_mass(momenta), TOWER_CONES),
        **label_features("towers_{}_pt_{}", transverse_momentum(momenta), TOWER_CONES),
    }


def features_of_radius(towers: Towers, inside: Tensor, name: str) -> dict[str, Tensor]:
    """Compute the features of subjets of one radius, and the pT of the towers in no subjet.

    Args:
        towers: Towers of B jets.
        inside: Mask (B, n, T) of the towers in each of n subjets.
        name: Prefix of the feature names.
    """
    count = inside.shape[1]
    left = (towers.pt > 0) & ~inside.any(1)
    sets = torch.cat([inside, left[:, None]], dim=1).to(towers.pt.dtype)
    momenta, others = sum_p4(towers, sets).split([count, 1], dim=2)
    together, numbers = subjet_combinations(count), range(1, count + 1)
    members = torch.tensor([[k in group for k in range(count)] for group in together.values()])
    masses = invariant_mass(members.to(momenta.device, momenta.dtype, non_blocking=True) @ momenta)
    angles = torch.stack(rapidity_phi(momenta[:, 0].mT), dim=1)
    contents = masked_sum(towers.contents, sets[:, :-1])
    return {
        **label_features(name + "_{}_pt_{}", transverse_momentum(momenta), numbers),
        **label_features(name + "_{}_pt_{}", transverse_momentum(others), ["left"]),
        **label_features(name + "_{}_mass_{}", masses, together),
        **label_values([f"{name}_flow_{angle}_{k}" for angle in ("rapidity", "phi") for k in numbers], angles),
        **label_values([f"{name}_{each.name}_{k}" for k in numbers for each in TOWER_OBSERVABLES], contents),
    }


def cluster_subjets(towers: Towers) -> Tensor:
    """Cluster towers into cones, iteratively and without overlap.

    The seed of a cone is the leading tower that is in no earlier cone. If several have the same pT, it is the first of
    them. The axis then moves to the momentum within the cone. The cone always includes its seed.

    Returns:
        Mask (B, R, n, T) of the towers in each of n cones for R radii, with the largest n of `SUBJET_RADII`.
    """
    # All radii are clustered simultaneously, (B, R, T), because there are many small operations. Other software must
    # find the same cones. Distances are therefore float64, so that rounding moves almost no tower across an edge. pT is
    # compared in float32, in which the many towers with the same hits have exactly the same pT.
    radius = torch.tensor([*SUBJET_RADII], dtype=torch.float64).to(towers.pt.device, non_blocking=True)[:, None]
    momentum = towers.momenta[0]
    pt, y, phi = (
        each[:, None].expand(-1, len(radius), -1) for each in (towers.pt.float(), towers.rapidity, towers.phi)
    )

    def within(axis: Iterable[Tensor]) -> Tensor:
        to_y, to_phi = (position - middle for position, middle in zip((y, phi), axis, strict=True))
        return to_y.square_().addcmul_(to_phi, to_phi) < radius.square()

    found = []
    for _ in range(max(SUBJET_RADII.values())):
        left = pt > 0
        hardest, seed = pt.max(dim=2, keepdim=True)
        axis = (each.gather(2, seed) for each in (y, phi))
        for _ in range(N_AXIS_ITERATIONS):
            inside = (left & within(axis)).to(y.dtype)
            axis = (each[..., None] for each in rapidity_phi(momentum @ inside.mT))
        found.append(left & within(axis).scatter(2, seed, 1) & (hardest >= MIN_SUBJET_PT))
        pt = pt.masked_fill(found[-1], 0.0)
    return torch.stack(found, dim=2)


def sum_p4(towers: Towers, sets: Tensor) -> Tensor:
    """Return four-momenta (B, F, n, 4), by `MOMENTUM_DEFINITIONS`, of n sets of towers with 0/1 masks (B, n, T)."""
    return torch.stack([masked_sum(each, sets) for each in towers.momenta], dim=1)


def masked_sum(columns: Tensor, sets: Tensor) -> Tensor:
    """Return sums (B, n, C) of columns (B, C, T) over n sets of towers with 0/1 masks (B, n, T)."""
    return (columns @ sets.mT).mT


def label_features(pattern: str, values: Tensor, labels: Iterable) -> dict[str, Tensor]:
    """Return values (B, F, n) as (B,) by feature name.

    Args:
        pattern: Feature name with two placeholders: momentum definition and label.
        values: Values (B, F, n) of F momentum definitions and n labels.
        labels: The n labels.
    """
    return label_values([pattern.format(each.name, label) for each in MOMENTUM_DEFINITIONS for label in labels], values)


def label_values(names: list[str], values: Tensor) -> dict[str, Tensor]:
    """Return values (B, …) as (B,) by name, with one name per value of a jet."""
    return dict(zip(names, values.flatten(1).unbind(1), strict=True))
