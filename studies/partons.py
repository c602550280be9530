"""Smeared top decay quarks inside the image window of each jet."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from topmass.simulation.block import generate_block
from topmass.simulation.clustering import Jets
from topmass.simulation.containment import delta_to_image_centre, image_centre, in_window
from topmass.simulation.generator import cylindrical
from topmass.simulation.imaging import Images

PAIRS = tuple(combinations(range(3), 2))


class Smearing(NamedTuple):
    """Resolution and thresholds of the measurement of quarks.

    Attributes:
        energy: Relative standard deviation of the energy.
        direction: Standard deviation of η and of φ.
        pt_min: pT threshold in GeV; quarks up to it are lost.
        distance: ΔR below which two quarks are merged.
    """

    energy: float
    direction: float
    pt_min: float
    distance: float


class Partons(NamedTuple):
    """N jets with the three decay quarks of their top quark; GeV.

    Attributes:
        event: Event number (N,).
        mass: Mass of the top quark (N,).
        pt: pT of the jet (N,).
        middle: η of the window centre (N,).
        quarks: pT, η, φ relative to the window centre, and mass of each quark (N, 3, 4).
        inside: Mask (N, 3) of the quarks inside the window.
    """

    event: np.ndarray
    mass: np.ndarray
    pt: np.ndarray
    middle: np.ndarray
    quarks: np.ndarray
    inside: np.ndarray

    def take(self, jets: np.ndarray) -> "Partons":
        """Return the jets at these indices."""
        return Partons(*(each[jets] for each in self))


def concat_partons(parts: list[Partons]) -> Partons:
    """Concatenate the jets of several parts."""
    return Partons(*map(np.concatenate, zip(*parts, strict=True)))


def partons_of_block(block: int, jets: int, seed: int, settings: Mapping[str, Mapping]) -> Partons:
    """Return the first jets of a block; the stage `simulate` makes the same jets with the same settings.

    Args:
        block: Number of the block.
        jets: Number of jets.
        seed: Seed of all blocks.
        settings: Settings of the simulation, as in `generate_block`.
    """
    found: list[Partons] = []
    batches = generate_block(block, seed, settings)
    while sum(len(each.event) for each in found) < jets:
        found.append(partons_of(*next(batches)))
    return concat_partons(found).take(np.arange(jets))


def partons_of(jets: Jets, images: Images) -> Partons:
    """Return the quarks of these jets relative to the windows of their images."""
    eta, phi = delta_to_image_centre(jets, images)
    quarks = np.stack([jets.quark_pt, jets.quark_eta, phi, jets.quark_mass], axis=-1)
    return Partons(jets.event, jets.mass, jets.pt, image_centre(images)[0], quarks, in_window(eta, phi))


def parton_features(partons: Partons, smearing: Smearing, rng: np.random.Generator) -> np.ndarray:
    """Compute features (N, 19) of the smeared quarks inside the window, by falling pT; NaN for missing quarks.

    The features are pT, Δη and Δφ from the window centre, and mass of each quark; the masses of the three pairs; mass,
    pT and number of all quarks; and η of the window centre. The same `rng` draws the same noise for any smearing.
    """
    momenta = merge_close(smeared(partons, smearing, rng), smearing.distance)
    pt, eta, phi = to_ptetaphi(momenta)
    seen = pt > 0
    each = np.stack([pt, eta - partons.middle[:, None], phi, mass_of(momenta)], axis=-1)
    pairs = [np.where(seen[:, a] & seen[:, b], mass_of(momenta[:, a] + momenta[:, b]), np.nan) for a, b in PAIRS]
    total = momenta.sum(axis=1)
    of_all = [mass_of(total), np.hypot(total[:, 0], total[:, 1]), seen.sum(axis=1), partons.middle]
    return np.column_stack([np.where(seen[..., None], each, np.nan).reshape(len(seen), -1), *pairs, *of_all])


def smeared(partons: Partons, smearing: Smearing, rng: np.random.Generator) -> np.ndarray:
    """Return smeared four-momenta (N, 3, 4), px, py, pz and energy; zero for quarks outside or below threshold."""
    of_energy, of_eta, of_phi = rng.standard_normal((3, *partons.inside.shape))
    pt, eta, phi, mass = np.moveaxis(partons.quarks, -1, 0)
    factor = np.maximum(1 + smearing.energy * of_energy, 0)
    pt, mass = factor * pt, factor * mass
    eta, phi = eta + smearing.direction * of_eta, phi + smearing.direction * of_phi
    along = pt * np.sinh(eta)
    momenta = np.stack([pt * np.cos(phi), pt * np.sin(phi), along, np.sqrt(pt**2 + along**2 + mass**2)], axis=-1)
    return momenta * (partons.inside & (pt > smearing.pt_min))[..., None]


def merge_close(momenta: np.ndarray, distance: float) -> np.ndarray:
    """Add softer momenta (N, 3, 4) to harder ones within this ΔR; return them by falling pT, zero if merged."""
    momenta = sort_by_pt(momenta)
    for a, b in PAIRS:
        pt, eta, phi = to_ptetaphi(momenta)
        # φ is relative to the window centre, and the window is narrower than half the circle: no wrapping needed.
        apart = np.hypot(eta[:, a] - eta[:, b], phi[:, a] - phi[:, b])
        near = (pt[:, a] > 0) & (pt[:, b] > 0) & (apart < distance)
        momenta[near, a] += momenta[near, b]
        momenta[near, b] = 0
    return sort_by_pt(momenta)


def sort_by_pt(momenta: np.ndarray) -> np.ndarray:
    """Sort the momenta (N, 3, 4) of each jet by falling pT."""
    order = np.argsort(-np.hypot(momenta[..., 0], momenta[..., 1]), axis=1, kind="stable")
    return np.take_along_axis(momenta, order[..., None], axis=1)


def to_ptetaphi(momenta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pT, η and φ, each (N, 3); for a zero momentum, pT is 0 and η is NaN."""
    with np.errstate(invalid="ignore"):
        return cylindrical(*(momenta[..., axis] for axis in range(3)))


def mass_of(momenta: np.ndarray) -> np.ndarray:
    """Return invariant masses (...) of four-momenta (..., 4)."""
    return np.sqrt(np.maximum(momenta[..., 3] ** 2 - (momenta[..., :3] ** 2).sum(axis=-1), 0))
