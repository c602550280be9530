"""The hardest towers of jets as a network of towers takes them: one by one, and two by two."""

import torch
from torch import Tensor

from topmass.learning.kinematics.four_momenta import directions, products, squares, transverse
from topmass.learning.kinematics.quantities import CONTENTS, FLAVOURS
from topmass.learning.kinematics.towers import Towers

COLUMNS = 4 + len(FLAVOURS[1:]) + len(CONTENTS)
"""Of a tower: its four-momentum by particle flow, its pT by the other flavours, and its contents."""
FEATURES = 9 + COLUMNS - 4
"""Of a tower by itself, as `features` has them."""
TERMS = 4
"""Of two towers: ΔR, kT, z and m²."""
LEAST = 1e-2
"""GeV, radians or share; of less, a logarithm is that of this."""


def hardest(towers: Towers, count: int) -> Tensor:
    """COLUMNS (B, COLUMNS, `count`) float32 of the hardest towers, the hardest first; zeros where there are fewer."""
    others = torch.stack([torch.hypot(each[:, 0], each[:, 1]) for each in towers.momenta[1:]], dim=1)
    columns = torch.cat([towers.momenta[0], others, towers.contents], dim=1)
    chosen = towers.pt.topk(count, dim=1).indices
    return columns.gather(2, chosen[:, None].expand(-1, COLUMNS, -1)).float()


def features(towers: Tensor) -> Tensor:
    """What each of the towers (B, COLUMNS, T) is by itself (B, T, FEATURES).

    Logarithms of pT, energy and share of the pT; where it is from the middle of the window, and from the axis of their
    sum; and logarithms of what else it has.
    """
    momentum, contents = towers[:, :4], towers[:, 4:]
    y, phi = directions(momentum)
    pt = transverse(momentum.mT)
    share = pt / pt.sum(1, keepdim=True).clamp(min=LEAST)
    axis = directions(momentum.sum(2))
    from_axis = [each - middle[:, None] for each, middle in zip((y, phi), axis, strict=True)]
    logarithms = [each.clamp(min=LEAST).log() for each in (pt, momentum[:, 3], share)]
    return torch.stack(
        [*logarithms, y, phi, torch.hypot(y, phi), *from_axis, torch.hypot(*from_axis), *contents.log1p().unbind(1)],
        dim=2,
    )


def pairs(momentum: Tensor) -> Tensor:
    """Logarithms (B, T, T, TERMS) of ΔR, kT, z and m² of each two of the momenta (B, 4, T).

    H. Qu, C. Li and S. Qian, "Particle Transformer for Jet Tagging", arXiv:2202.03772, have attention know them.
    """
    y, phi = directions(momentum)
    pt = transverse(momentum.mT)
    softer = torch.minimum(*two_by_two(pt.clamp(min=LEAST).log()))
    to_y, to_phi = (first - second for first, second in map(two_by_two, (y, phi)))
    r = to_y.square_().addcmul_(to_phi, to_phi).clamp_(min=LEAST**2).log_().mul_(0.5)
    z = softer - torch.add(*two_by_two(pt)).clamp_(min=LEAST).log_()
    square = squares(momentum.mT)
    mass = torch.add(*two_by_two(square)).add_(products(momentum.mT, momentum.mT), alpha=2).clamp_(min=LEAST**2).log_()
    # Each of the terms stays in one piece: that is faster.
    return torch.stack([r, softer + r, z, mass]).movedim(0, 3)


def two_by_two(each: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers (B, T) along the rows and along the columns of (B, T, T)."""
    return each[:, :, None], each[:, None]
