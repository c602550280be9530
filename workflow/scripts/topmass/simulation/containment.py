"""Number of top decay quarks inside a jet and inside its image."""

import numpy as np

from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE
from topmass.simulation.clustering import Jets, delta_phi
from topmass.simulation.imaging import Images


def quarks_in_jet(jets: Jets, radius: float) -> np.ndarray:
    """Return the number of quarks (N,) within ΔR < `radius` of each jet axis; NaN without a top quark."""
    eta, phi = delta_to_axis(jets.eta, jets.phi, jets)
    return count_inside(np.hypot(eta, phi) < radius, jets)


def quarks_in_window(jets: Jets, images: Images) -> np.ndarray:
    """Return the number of quarks (N,) in the image window of each jet; NaN without a top quark."""
    return count_inside(in_window(*delta_to_image_centre(jets, images)), jets)


def delta_to_image_centre(jets: Jets, images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Return Δη and Δφ, each (N, 3), from the window centre of each image to the quarks."""
    return delta_to_axis(*image_centre(images), jets)


def image_centre(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Return η and φ, each (N,), of the centre of each window."""
    # `ieta` and `iphi` identify the central pixel; its centre is the centre of the window.
    return (images.ieta + 0.5) * PIXEL_ETA, (images.iphi + 0.5) * PIXEL_PHI


def in_window(eta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Return a mask of the distances Δη and Δφ from the window centre that lie inside the window."""
    return (np.abs(eta) < SIDE / 2 * PIXEL_ETA) & (np.abs(phi) < SIDE / 2 * PIXEL_PHI)


def delta_to_axis(eta: np.ndarray, phi: np.ndarray, jets: Jets) -> tuple[np.ndarray, np.ndarray]:
    """Return Δη and Δφ, each (N, 3), from one direction per jet, (N,), to its quarks."""
    return jets.quark_eta - eta[:, None], delta_phi(jets.quark_phi, phi[:, None])


def count_inside(inside: np.ndarray, jets: Jets) -> np.ndarray:
    """Return the number (N,) of true values in a mask (N, 3) of the quarks of jets; NaN without a top quark."""
    return np.where(np.isnan(jets.mass), np.nan, inside.sum(axis=1))
