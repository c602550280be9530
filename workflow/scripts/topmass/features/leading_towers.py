"""Leading towers of jets: columns, features per tower, features per pair."""

import torch
from torch import Tensor

from topmass.features.feature_registry import MOMENTUM_DEFINITIONS, TOWER_OBSERVABLES
from topmass.features.p4 import mass2, minkowski_dot, rapidity_phi, transverse_momentum
from topmass.features.towers import Towers
from topmass.layers import ETA, PHI

TOWER_PARITY = (0, PHI, ETA, 0) + (0,) * len(MOMENTUM_DEFINITIONS[1:] + TOWER_OBSERVABLES)
"""Reflections that change the sign of each column of a tower."""
TOWER_COLUMNS = len(TOWER_PARITY)
"""Columns per tower: particle-flow four-momentum, pT by the other momentum definitions, and observables."""
N_TOWER_FEATURES = 9 + TOWER_COLUMNS - 4
"""Features per tower; see `tower_features`."""
N_PAIR_FEATURES = 4
"""Features per pair of towers: ΔR, kT, z and m²."""
MIN_PAIR_VALUE = 1e-2
"""GeV, radians or fraction: lower bound of the argument of a logarithm."""


def leading_towers(towers: Towers, count: int) -> Tensor:
    """Return the leading towers (B, TOWER_COLUMNS, count) float32 in descending pT, padded with zeros."""
    others = torch.stack([torch.hypot(each[:, 0], each[:, 1]) for each in towers.momenta[1:]], dim=1)
    columns = torch.cat([towers.momenta[0], others, towers.contents], dim=1)
    leading = towers.pt.topk(count, dim=1).indices
    return columns.gather(2, leading[:, None].expand(-1, TOWER_COLUMNS, -1)).float()


def tower_features(towers: Tensor) -> Tensor:
    """Return features (B, T, N_TOWER_FEATURES) of towers (B, TOWER_COLUMNS, T).

    They are the logarithms of pT, energy and fraction of the summed pT; Δy, Δφ and ΔR to the centre of the window and
    to the axis of the summed four-momentum; and the logarithms of the other columns.
    """
    momentum, contents = towers[:, :4], towers[:, 4:]
    y, phi = rapidity_phi(momentum)
    pt = transverse_momentum(momentum.mT)
    fraction = pt / pt.sum(1, keepdim=True).clamp(min=MIN_PAIR_VALUE)
    axis = rapidity_phi(momentum.sum(2))
    from_axis = [position - centre[:, None] for position, centre in zip((y, phi), axis, strict=True)]
    logarithms = [values.clamp(min=MIN_PAIR_VALUE).log() for values in (pt, momentum[:, 3], fraction)]
    others = contents.clamp(min=0).log1p().unbind(1)
    return torch.stack([*logarithms, y, phi, torch.hypot(y, phi), *from_axis, torch.hypot(*from_axis), *others], dim=2)


def pairwise_features(momentum: Tensor) -> Tensor:
    """Return logarithms (B, T, T, N_PAIR_FEATURES) of ΔR, kT, z and m² for all pairs of four-momenta (B, 4, T).

    They bias the attention in H. Qu, C. Li and S. Qian, "Particle Transformer for Jet Tagging", arXiv:2202.03772.
    """
    y, phi = rapidity_phi(momentum)
    pt = transverse_momentum(momentum.mT)
    softer = torch.minimum(*outer_pairs(pt.clamp(min=MIN_PAIR_VALUE).log()))
    delta_y, delta_phi = (first - second for first, second in map(outer_pairs, (y, phi)))
    r = delta_y.square_().addcmul_(delta_phi, delta_phi).clamp_(min=MIN_PAIR_VALUE**2).log_().mul_(0.5)
    z = softer - torch.add(*outer_pairs(pt)).clamp_(min=MIN_PAIR_VALUE).log_()
    square = mass2(momentum.mT)
    mass = (
        torch.add(*outer_pairs(square))
        .add_(minkowski_dot(momentum.mT, momentum.mT), alpha=2)
        .clamp_(min=MIN_PAIR_VALUE**2)
        .log_()
    )
    # Each term stays contiguous, which is faster.
    return torch.stack([r, softer + r, z, mass]).movedim(0, 3)


def outer_pairs(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return values (B, T) as (B, T, 1) and (B, 1, T), to broadcast over all pairs."""
    return values[:, :, None], values[:, None]
