"""Subjets: cones on the towers of a jet, and their four-momenta. `quantities.SUBJETS` says what each number is."""

from collections.abc import Iterable

import torch
from torch import Tensor

from topmass.learning.kinematics.four_momenta import directions, mass, transverse
from topmass.learning.kinematics.quantities import (
    CONTENTS,
    FLAVOURS,
    SUBJET_RADII,
    SUBJETS,
    TOWER_CONES,
    given,
    groups,
)
from topmass.learning.kinematics.towers import Towers
from topmass.preprocessing.shards import ShardMeta

LEAST_PT = 0.5
"""GeV, of a tower around which there is a subjet."""
STEPS = 2
"""How often the axis of a cone goes to the momentum within it."""


def subjets(towers: Towers, meta: ShardMeta) -> Tensor:
    """Numbers (B, K) float32 of the subjets of B jets, in the order of `given(SUBJETS, meta)`; all are finite.

    A subjet that a jet does not have has zeros. Neither the order of the values in a jet nor the jets beside it change
    more than rounding does, and a value of zero, in any place, changes nothing.
    """
    found = of_cones(towers)
    for (radius, count), inside in zip(SUBJET_RADII.items(), cluster(towers).unbind(1), strict=True):
        found |= of_subjets(towers, inside[:, :count], f"subjets_{radius}")
    columns = [found[each.name] for each in given(SUBJETS, meta)]
    return (
        torch.stack(columns, dim=1).float() if columns else torch.zeros(towers.pt.shape[0], 0, device=towers.pt.device)
    )


def of_cones(towers: Towers) -> dict[str, Tensor]:
    """Masses and momenta of all towers within cones around the middle of the window."""
    distance = torch.hypot(towers.rapidity, towers.phi)
    sets = torch.stack([distance < radius for radius in TOWER_CONES], dim=1).to(towers.pt.dtype)
    momenta = momenta_of(towers, sets)
    return {
        **by_flavour("towers_{}_mass_{}", mass(momenta), TOWER_CONES),
        **by_flavour("towers_{}_pt_{}", transverse(momenta), TOWER_CONES),
    }


def of_subjets(towers: Towers, inside: Tensor, name: str) -> dict[str, Tensor]:
    """Masses, momenta and contents of subjets, which have these towers (B, n, T), and the momentum of the others."""
    count = inside.shape[1]
    left = (towers.pt > 0) & ~inside.any(1)
    sets = torch.cat([inside, left[:, None]], dim=1).to(towers.pt.dtype)
    momenta, others = momenta_of(towers, sets).split([count, 1], dim=2)
    together, numbers = groups(count), range(1, count + 1)
    members = torch.tensor([[k in group for k in range(count)] for group in together.values()])
    masses = mass(members.to(momenta.device, momenta.dtype, non_blocking=True) @ momenta)
    angles = torch.stack(directions(momenta[:, 0].mT), dim=1)
    contents = add_up(towers.contents, sets[:, :-1])
    return {
        **by_flavour(name + "_{}_pt_{}", transverse(momenta), numbers),
        **by_flavour(name + "_{}_pt_{}", transverse(others), ["left"]),
        **by_flavour(name + "_{}_mass_{}", masses, together),
        **named([f"{name}_flow_{angle}_{k}" for angle in ("rapidity", "phi") for k in numbers], angles),
        **named([f"{name}_{each.name}_{k}" for k in numbers for each in CONTENTS], contents),
    }


def cluster(towers: Towers) -> Tensor:
    """Which towers (B, R, n, T) each of n cones of R radii has, for the largest n of SUBJET_RADII.

    A cone starts at the hardest tower that is left, the first of them if some are as hard, and goes to the momentum
    within it. It keeps the tower at which it started, and what it has is gone for those after it.
    """
    # Both radii at once, (B, R, T): there are many small steps. Other software has to find the same: so edges are in
    # float64, by whose rounding hardly any tower changes sides; and what is hardest in float32, in which towers with
    # the same hits, which are many, are as hard as each other.
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
        for _ in range(STEPS):
            inside = (left & within(axis)).to(y.dtype)
            axis = (each[..., None] for each in directions(momentum @ inside.mT))
        found.append(left & within(axis).scatter(2, seed, 1) & (hardest >= LEAST_PT))
        pt = pt.masked_fill(found[-1], 0.0)
    return torch.stack(found, dim=2)


def momenta_of(towers: Towers, sets: Tensor) -> Tensor:
    """Four-momenta (B, F, n, 4) by FLAVOURS of n sets (B, n, T) of towers, ones and zeros."""
    return torch.stack([add_up(each, sets) for each in towers.momenta], dim=1)


def add_up(columns: Tensor, sets: Tensor) -> Tensor:
    """Sums (B, n, C) of columns (B, C, T) over the towers of n sets (B, n, T), ones and zeros."""
    return (columns @ sets.mT).mT


def by_flavour(pattern: str, values: Tensor, labels: Iterable) -> dict[str, Tensor]:
    """Values (B, F, n) by name, which has the flavour and one of n labels in it."""
    return named([pattern.format(each.name, label) for each in FLAVOURS for label in labels], values)


def named(names: list[str], values: Tensor) -> dict[str, Tensor]:
    """Values (B, …) by name, one for each number of a jet."""
    return dict(zip(names, values.flatten(1).unbind(1), strict=True))
