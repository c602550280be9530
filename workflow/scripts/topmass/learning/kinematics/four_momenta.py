"""Four-momenta (px, py, pz, E) in GeV, as tensors."""

import torch
from torch import Tensor

TINY = 1e-30
"""In place of zero where something is divided by it."""


def massless(pt: Tensor, eta: Tensor, phi: Tensor) -> Tensor:
    """Four-momenta (V, 4), px, py, pz and E, in the frame along the beam in which the window's middle is at η = 0.

    Masses and transverse momenta are the same in all such frames, and their rounding is smallest in this one.
    """
    return torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), pt * eta.cosh()], dim=1)


def mass(momentum: Tensor) -> Tensor:
    """Mass (…,) of four-momenta (…, 4 or more)."""
    x, y, z, energy = momentum[..., :4].square().unbind(-1)
    return (energy - (x + y + z)).clamp(min=0).sqrt()


def transverse(momentum: Tensor) -> Tensor:
    """Transverse momentum (…,) of four-momenta (…, 4 or more)."""
    return torch.hypot(momentum[..., 0], momentum[..., 1])


def directions(momentum: Tensor) -> tuple[Tensor, Tensor]:
    """Rapidity and φ (…,) of momenta (B, 4, …); zeros for one that is zero."""
    x, y, z, energy = momentum.unbind(1)
    return torch.atanh(z / energy.clamp(min=TINY)), torch.atan2(y, x)


def products(momenta: Tensor, others: Tensor) -> Tensor:
    """Invariant products (B, n, m) of momenta (B, n, 4) and others (B, m, 4)."""
    # bfloat16 would leave nothing of a mass.
    with torch.autocast(momenta.device.type, enabled=False):
        return lowered(momenta) @ others.mT


def squares(momenta: Tensor) -> Tensor:
    """Squared masses (B, n)."""
    return (lowered(momenta) * momenta).sum(2)


def lowered(momenta: Tensor) -> Tensor:
    """(−px, −py, −pz, E) of momenta (B, n, 4): their scalar product with others is the invariant one."""
    # Not times (−1, −1, −1, 1): a GPU would wait for these numbers, each time.
    return torch.where(torch.arange(4, device=momenta.device) < 3, -momenta, momenta)
