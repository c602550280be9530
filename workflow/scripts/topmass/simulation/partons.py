"""The quarks of a jet's top in the window of its image, as a detector of some resolution would tell them apart."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from topmass.simulation.block import image_block
from topmass.simulation.clustering import Jets
from topmass.simulation.containment import from_middle, in_window, middle
from topmass.simulation.generator import cylindrical
from topmass.simulation.imaging import Images

PAIRS = tuple(combinations(range(3), 2))


class Smearing(NamedTuple):
    """What is lost of quarks.

    Standard deviations of their energy, relative, and of η and φ; the pT in GeV up to which they are not seen at all;
    and the ΔR within which two are seen as one.
    """

    energy: float
    direction: float
    pt_min: float
    distance: float


class Partons(NamedTuple):
    """N jets, by event, mass of the top and pT of the jet (N,), and the three quarks that the top decays to.

    `middle` (N,) is the η of the window's middle; `quarks` (N, 3, 4) are pT, η, φ from the window's middle, and mass;
    `inside` (N, 3) tells which of them the window holds. GeV.
    """

    event: np.ndarray
    mass: np.ndarray
    pt: np.ndarray
    middle: np.ndarray
    quarks: np.ndarray
    inside: np.ndarray

    def take(self, jets: np.ndarray) -> "Partons":
        """These jets, by their indices."""
        return Partons(*(each[jets] for each in self))


def join(parts: list[Partons]) -> Partons:
    """All jets of several."""
    return Partons(*map(np.concatenate, zip(*parts, strict=True)))


def partons_of_block(
    block: int, jets: int, seed: int, generator: Mapping, detector: Mapping, selection: Mapping
) -> Partons:
    """The first `jets` jets of a block: those that the stage `simulate` makes with the same settings."""
    found: list[Partons] = []
    batches = image_block(block, seed, generator, detector, selection)
    while sum(len(each.event) for each in found) < jets:
        found.append(partons_of(*next(batches)))
    return join(found).take(np.arange(jets))


def partons_of(jets: Jets, images: Images) -> Partons:
    """The quarks of these jets beside the windows of their images."""
    eta, phi = from_middle(jets, images)
    quarks = np.stack([jets.quark_pt, jets.quark_eta, phi, jets.quark_mass], axis=-1)
    return Partons(jets.event, jets.mass, jets.pt, middle(images)[0], quarks, in_window(eta, phi))


def numbers_of(partons: Partons, smearing: Smearing, rng: np.random.Generator) -> np.ndarray:
    """What is seen of the quarks inside, (N, 18), the hardest first; NaN for what is not there.

    Of each pT, Δη and Δφ from the window's middle, and mass; the masses of pairs; mass, pT and number of all; and the η
    of the middle. Whatever the smearing, the same `rng` draws the same noise.
    """
    momenta = merged(smeared(partons, smearing, rng), smearing.distance)
    pt, eta, phi = cylinder(momenta)
    seen = pt > 0
    each = np.stack([pt, eta - partons.middle[:, None], phi, mass_of(momenta)], axis=-1)
    pairs = [np.where(seen[:, a] & seen[:, b], mass_of(momenta[:, a] + momenta[:, b]), np.nan) for a, b in PAIRS]
    total = momenta.sum(axis=1)
    of_all = [mass_of(total), np.hypot(total[:, 0], total[:, 1]), seen.sum(axis=1), partons.middle]
    return np.column_stack([np.where(seen[..., None], each, np.nan).reshape(len(seen), -1), *pairs, *of_all])


def smeared(partons: Partons, smearing: Smearing, rng: np.random.Generator) -> np.ndarray:
    """Four-momenta (N, 3, 4), px, py, pz and energy, of the quarks that are seen; zero for the others."""
    of_energy, of_eta, of_phi = rng.standard_normal((3, *partons.inside.shape))
    pt, eta, phi, mass = np.moveaxis(partons.quarks, -1, 0)
    factor = np.maximum(1 + smearing.energy * of_energy, 0)
    pt, mass = factor * pt, factor * mass
    eta, phi = eta + smearing.direction * of_eta, phi + smearing.direction * of_phi
    along = pt * np.sinh(eta)
    momenta = np.stack([pt * np.cos(phi), pt * np.sin(phi), along, np.sqrt(pt**2 + along**2 + mass**2)], axis=-1)
    return momenta * (partons.inside & (pt > smearing.pt_min))[..., None]


def merged(momenta: np.ndarray, distance: float) -> np.ndarray:
    """The same, the hardest first, each with the softer ones added that are nearer than this ΔR."""
    momenta = hardest_first(momenta)
    for a, b in PAIRS:
        pt, eta, phi = cylinder(momenta)
        # Angles from the middle of a window, which is not half as wide as the circle.
        apart = np.hypot(eta[:, a] - eta[:, b], phi[:, a] - phi[:, b])
        near = (pt[:, a] > 0) & (pt[:, b] > 0) & (apart < distance)
        momenta[near, a] += momenta[near, b]
        momenta[near, b] = 0
    return hardest_first(momenta)


def hardest_first(momenta: np.ndarray) -> np.ndarray:
    """Each jet's momenta (N, 3, 4) by falling pT."""
    order = np.argsort(-np.hypot(momenta[..., 0], momenta[..., 1]), axis=1, kind="stable")
    return np.take_along_axis(momenta, order[..., None], axis=1)


def cylinder(momenta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """pT, η and φ, each (N, 3); of nothing, pT is zero and η not a number."""
    with np.errstate(invalid="ignore"):
        return cylindrical(*(momenta[..., axis] for axis in range(3)))


def mass_of(momenta: np.ndarray) -> np.ndarray:
    """Invariant masses (…) of four-momenta (…, 4)."""
    return np.sqrt(np.maximum(momenta[..., 3] ** 2 - (momenta[..., :3] ** 2).sum(axis=-1), 0))
