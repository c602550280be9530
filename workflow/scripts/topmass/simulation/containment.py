"""How many of the three quarks of its top a jet holds, and how many the window of its image."""

import numpy as np

from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE
from topmass.simulation.clustering import Jets, delta_phi
from topmass.simulation.imaging import Images


def quarks_in_jet(jets: Jets, radius: float) -> np.ndarray:
    """Quarks within ΔR < `radius` of the axis of each jet, (N,), int8."""
    eta, phi = away_from(jets.eta, jets.phi, jets)
    return count(np.hypot(eta, phi) < radius)


def quarks_in_window(jets: Jets, images: Images) -> np.ndarray:
    """Quarks in the window of each jet's image, (N,), int8."""
    return count(in_window(*from_middle(jets, images)))


def from_middle(jets: Jets, images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Δη and Δφ, (N, 3), from the middle of the window of each jet's image to its quarks."""
    return away_from(*middle(images), jets)


def middle(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """η and φ, (N,), of the middle of each window."""
    # `ieta` and `iphi` are of a pixel, whose middle is that of the window.
    return (images.ieta + 0.5) * PIXEL_ETA, (images.iphi + 0.5) * PIXEL_PHI


def in_window(eta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Whether what is so far, Δη and Δφ, from the middle of a window is inside: up to half a side, in η and in φ."""
    return (np.abs(eta) < SIDE / 2 * PIXEL_ETA) & (np.abs(phi) < SIDE / 2 * PIXEL_PHI)


def away_from(eta: np.ndarray, phi: np.ndarray, jets: Jets) -> tuple[np.ndarray, np.ndarray]:
    """Δη and Δφ, (N, 3), from a place in each jet (N,) to its quarks."""
    return jets.quark_eta - eta[:, None], delta_phi(jets.quark_phi, phi[:, None])


def count(inside: np.ndarray) -> np.ndarray:
    """Of three quarks each (N, 3) those that are inside."""
    return inside.sum(axis=1, dtype=np.int8)
