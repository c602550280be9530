"""The distribution of the mass, or of mass and pT together, made flat: by accept–reject or by weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from topmass.files import BadInput

ANY_PT = (0.0, 1e6)


@dataclass
class Flattening:
    """Bins, edges in GeV, and the chance of a jet in each to be kept, `acceptance` (mass bins, pT bins)."""

    mass_edges: np.ndarray
    pt_edges: np.ndarray
    acceptance: np.ndarray

    def __post_init__(self) -> None:
        shape = len(self.mass_edges) - 1, len(self.pt_edges) - 1
        rising = all((np.diff(edges) > 0).all() for edges in (self.mass_edges, self.pt_edges))
        if self.acceptance.shape != shape or not rising or not ((self.acceptance > 0) & (self.acceptance <= 1)).all():
            raise ValueError("a flattening needs rising edges and, for each bin, a chance above 0 and up to 1")

    def keeps(self, mass: np.ndarray, pt: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """Which jets are kept, given a uniform draw for each; jets outside the bins never are."""
        mass_bin, pt_bin, inside = find_bins(self.mass_edges, self.pt_edges, mass, pt)
        return inside & (draw < self.acceptance[mass_bin, pt_bin])

    def weights(self, mass: np.ndarray, pt: np.ndarray) -> np.ndarray:
        """Weights, float32, that flatten instead: their mean over the training jets is one; zero outside the bins."""
        mass_bin, pt_bin, inside = find_bins(self.mass_edges, self.pt_edges, mass, pt)
        # A bin's acceptance goes as one over its number of training jets.
        mean_acceptance = self.acceptance.size / (1 / self.acceptance).sum()
        return (inside * self.acceptance[mass_bin, pt_bin] / mean_acceptance).astype(np.float32)


def find_bins(mass_edges: np.ndarray, pt_edges: np.ndarray, mass: np.ndarray, pt: np.ndarray) -> tuple[np.ndarray, ...]:
    """Bin in mass, bin in pT, and whether both are inside the edges; the last edge belongs to the last bin."""
    found, inside = [], np.ones(len(mass), bool)
    for edges, values in ((mass_edges, mass), (pt_edges, pt)):
        inside &= (values >= edges[0]) & (values <= edges[-1])
        found.append(np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2))
    return found[0], found[1], inside


def count(
    mass_edges: np.ndarray, pt_edges: np.ndarray, mass: np.ndarray, pt: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Number of jets in each bin, or sum of their weights, (mass bins, pT bins)."""
    mass_bin, pt_bin, inside = find_bins(mass_edges, pt_edges, mass, pt)
    shape = (len(mass_edges) - 1, len(pt_edges) - 1)
    weights = None if weight is None else weight[inside]
    return np.bincount((mass_bin * shape[1] + pt_bin)[inside], weights, shape[0] * shape[1]).reshape(shape)


def edges_of(unbias: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Edges in GeV of the bins of mass and of pT that are made flat; one bin of what is not in `by`.

    `unbias` has the variables to flatten (`by`, of "mass" and "pt"), and for each its range in GeV and number of bins.
    """
    mass, pt = (np.linspace(*unbias[name]["range"], unbias[name]["bins"] + 1) for name in ("mass", "pt"))
    return mass if "mass" in unbias["by"] else mass[[0, -1]], pt if "pt" in unbias["by"] else np.array(ANY_PT)


def flatten(mass_edges: Sequence[float], pt_edges: Sequence[float], counts: np.ndarray) -> Flattening:
    """Keep in each bin as many jets, on average, as the emptiest has. BadInput if that is none at all."""
    mass_edges, pt_edges = np.asarray(mass_edges, float), np.asarray(pt_edges, float)
    if (counts == 0).any():
        row, column = np.argwhere(counts == 0)[0]
        where = f"mass {mass_edges[row]:g}–{mass_edges[row + 1]:g} GeV"
        if len(pt_edges) > 2:
            where += f" and pT {pt_edges[column]:g}–{pt_edges[column + 1]:g} GeV"
        raise BadInput(f"cannot be flattened: no training jet has {where}; take more jets, or fewer bins in 'unbias'")
    return Flattening(mass_edges, pt_edges, counts.min() / counts)


def chi_squared(counts: np.ndarray) -> tuple[float, int]:
    """χ² of the counts against all being equal, and its degrees of freedom."""
    expected = counts.mean()
    return float(((counts - expected) ** 2).sum() / expected), counts.size - 1
