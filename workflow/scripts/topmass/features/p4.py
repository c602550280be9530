"""Four-momenta (px, py, pz, E) in GeV, as tensors."""

import torch
from torch import Tensor

P4_EPS = 1e-30
"""Lower bound of denominators."""
MAX_BETA_Z = 0.9999
"""Bound on |pz / E|: |y| < 4.95; the window ends at 1.1. Sums of energies of both signs may exceed it."""


def massless_p4(pt: Tensor, eta: Tensor, phi: Tensor) -> Tensor:
    """Return massless four-momenta (V, 4) in the frame, boosted along the beam, with the window centre at η = 0.

    Masses and transverse momenta are invariant under this boost, and rounding is smallest in this frame.

    Args:
        pt: Transverse momentum (V,), GeV.
        eta: Δη (V,) to the centre of the window.
        phi: Δφ (V,) to the centre of the window, radians.
    """
    return torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), pt * eta.cosh()], dim=1)


def invariant_mass(momentum: Tensor) -> Tensor:
    """Return masses (…,) of four-momenta (…, 4 or more); 0 if m² < 0."""
    x, y, z, energy = momentum[..., :4].square().unbind(-1)
    return (energy - (x + y + z)).clamp(min=0).sqrt()


def transverse_momentum(momentum: Tensor) -> Tensor:
    """Return transverse momenta (…,) of four-momenta (…, 4 or more)."""
    return torch.hypot(momentum[..., 0], momentum[..., 1])


def rapidity_phi(momentum: Tensor) -> tuple[Tensor, Tensor]:
    """Return rapidity and φ (B, …) of four-momenta (B, 4, …); always finite, and 0 for a zero four-momentum."""
    x, y, z, energy = momentum.unbind(1)
    return torch.atanh((z / energy.clamp(min=P4_EPS)).clamp(-MAX_BETA_Z, MAX_BETA_Z)), torch.atan2(y, x)


def minkowski_dot(momenta: Tensor, others: Tensor) -> Tensor:
    """Return Minkowski products (B, n, m) of four-momenta (B, n, 4) and (B, m, 4)."""
    # bfloat16 is too coarse for masses, which are small differences of large numbers.
    with torch.autocast(momenta.device.type, enabled=False):
        return lower_index(momenta) @ others.mT


def mass2(momenta: Tensor) -> Tensor:
    """Return squared masses (B, n) of four-momenta (B, n, 4)."""
    return (lower_index(momenta) * momenta).sum(2)


def lower_index(momenta: Tensor) -> Tensor:
    """Return (−px, −py, −pz, E) of four-momenta (B, n, 4)."""
    # A product with (−1, −1, −1, 1) would need a synchronous copy to the GPU in each call.
    return torch.where(torch.arange(4, device=momenta.device) < 3, -momenta, momenta)
