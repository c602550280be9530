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
    features = cone_features(towers)
    for (radius, count), inside in zip(SUBJET_RADII.items(), cluster_subjets(towers).unbind(1), strict=True):
        features |= radius_features(towers, inside[:, :count], f"subjets_{radius}")
    columns = [features[feature.name] for feature in available_features(SUBJET_FEATURES, meta)]
    return torch.stack(columns, dim=1).float() if columns else towers.pt.new_zeros(len(towers.pt), 0).float()


def cone_features(towers: Towers) -> dict[str, Tensor]:
    """Compute masses and momenta of all towers within cones around the centre of the window."""
    distance = torch.hypot(towers.rapidity, towers.phi)
    sets = torch.stack([distance < radius for radius in TOWER_CONES], dim=1).to(towers.pt.dtype)
    momenta = sum_p4(towers, sets)
    return {
        **label_features("towers_{}_mass_{}", invariant_mass(momenta), TOWER_CONES),
        **label_features("towers_{}_pt_{}", transverse_momentum(momenta), TOWER_CONES),
    }


def radius_features(towers: Towers, inside: Tensor, name: str) -> dict[str, Tensor]:
    """Compute the features of subjets of one radius, and the pT of the towers in no subjet.

    Args:
        towers: Towers of B jets.
        inside: Mask (B, n, T) of the towers in each of n subjets.
        name: Prefix of the feature names.
    """
    count = inside.shape[1]
    outside = (towers.pt > 0) & ~inside.any(1)
    sets = torch.cat([inside, outside[:, None]], dim=1).to(towers.pt.dtype)
    momenta, others = sum_p4(towers, sets).split([count, 1], dim=2)
    groups, numbers = subjet_combinations(count), range(1, count + 1)
    members = torch.tensor([[k in group for k in range(count)] for group in groups.values()])
    masses = invariant_mass(members.to(momenta.device, momenta.dtype, non_blocking=True) @ momenta)
    angles = torch.stack(rapidity_phi(momenta[:, 0].mT), dim=1)
    contents = masked_sum(towers.contents, sets[:, :-1])
    return {
        **label_features(name + "_{}_pt_{}", transverse_momentum(momenta), numbers),
        **label_features(name + "_{}_pt_{}", transverse_momentum(others), ["left"]),
        **label_features(name + "_{}_mass_{}", masses, groups),
        **label_values([f"{name}_flow_{angle}_{k}" for angle in ("rapidity", "phi") for k in numbers], angles),
        **label_values([f"{name}_{feature.name}_{k}" for k in numbers for feature in TOWER_OBSERVABLES], contents),
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
        values[:, None].expand(-1, len(radius), -1) for values in (towers.pt.float(), towers.rapidity, towers.phi)
    )

    def within(axis: Iterable[Tensor]) -> Tensor:
        delta_y, delta_phi = (position - centre for position, centre in zip((y, phi), axis, strict=True))
        return delta_y.square_().addcmul_(delta_phi, delta_phi) < radius.square()

    cones = []
    for _ in range(max(SUBJET_RADII.values())):
        unassigned = pt > 0
        leading_pt, seed = pt.max(dim=2, keepdim=True)
        axis = (position.gather(2, seed) for position in (y, phi))
        for _ in range(N_AXIS_ITERATIONS):
            inside = (unassigned & within(axis)).to(y.dtype)
            axis = (position[..., None] for position in rapidity_phi(momentum @ inside.mT))
        cones.append(unassigned & within(axis).scatter(2, seed, 1) & (leading_pt >= MIN_SUBJET_PT))
        pt = pt.masked_fill(cones[-1], 0.0)
    return torch.stack(cones, dim=2)


def sum_p4(towers: Towers, sets: Tensor) -> Tensor:
    """Return four-momenta (B, F, n, 4), by `MOMENTUM_DEFINITIONS`, of n sets of towers with 0/1 masks (B, n, T)."""
    return torch.stack([masked_sum(momenta, sets) for momenta in towers.momenta], dim=1)


def masked_sum(columns: Tensor, sets: Tensor) -> Tensor:
    """Return sums (B, n, C) of columns (B, C, T) over n sets of towers with 0/1 masks (B, n, T)."""
    return (columns @ sets.mT).mT


def label_features(pattern: str, values: Tensor, labels: Iterable) -> dict[str, Tensor]:
    """Return values (B, F, n) as (B,) by name: `pattern` with one of F momentum definitions and of n labels."""
    names = [pattern.format(definition.name, label) for definition in MOMENTUM_DEFINITIONS for label in labels]
    return label_values(names, values)


def label_values(names: list[str], values: Tensor) -> dict[str, Tensor]:
    """Return values (B, …) as (B,) by name, with one name per value of a jet."""
    return dict(zip(names, values.flatten(1).unbind(1), strict=True))
