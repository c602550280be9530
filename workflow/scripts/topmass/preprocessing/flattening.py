"""Flattening of the mass or mass × pT distribution, by rejection or weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from topmass.files import BadInput

SINGLE_PT_BIN = (0.0, 1e6)


@dataclass
class Flattening:
    """Bin edges in GeV, and the `keep_probability` (mass bins, pT bins) of the jets in each bin."""

    mass_edges: np.ndarray
    pt_edges: np.ndarray
    keep_probability: np.ndarray

    def __post_init__(self) -> None:
        edges, probability = (self.mass_edges, self.pt_edges), self.keep_probability
        ascending = all((np.diff(values) > 0).all() for values in edges)
        shape = tuple(len(values) - 1 for values in edges)
        if not ascending or probability.shape != shape or not ((probability > 0) & (probability <= 1)).all():
            raise ValueError("a flattening needs ascending edges and, for each bin, a probability above 0 and up to 1")

    def accepts(self, mass: np.ndarray, pt: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """Return a mask of the accepted jets, given a uniform draw per jet; jets outside the bins are rejected."""
        mass_bin, pt_bin, inside = find_bins(self.mass_edges, self.pt_edges, mass, pt)
        return inside & (draw < self.keep_probability[mass_bin, pt_bin])

    def weights(self, mass: np.ndarray, pt: np.ndarray) -> np.ndarray:
        """Return float32 weights (N,) that flatten; mean one over the training jets, zero outside the bins."""
        mass_bin, pt_bin, inside = find_bins(self.mass_edges, self.pt_edges, mass, pt)
        # The acceptance of a bin is inversely proportional to its number of training jets.
        mean_acceptance = self.keep_probability.size / (1 / self.keep_probability).sum()
        return (inside * self.keep_probability[mass_bin, pt_bin] / mean_acceptance).astype(np.float32)


def find_bins(mass_edges: np.ndarray, pt_edges: np.ndarray, mass: np.ndarray, pt: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return mass bin, pT bin and a mask of the jets inside the edges; the last edge belongs to the last bin."""
    bins, inside = [], np.ones(len(mass), bool)
    for edges, values in ((mass_edges, mass), (pt_edges, pt)):
        inside &= (values >= edges[0]) & (values <= edges[-1])
        bins.append(np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2))
    return *bins, inside


def histogram_counts(
    mass_edges: np.ndarray, pt_edges: np.ndarray, mass: np.ndarray, pt: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Return the number of jets, or the sum of their weights, per bin (mass bins, pT bins)."""
    mass_bin, pt_bin, inside = find_bins(mass_edges, pt_edges, mass, pt)
    shape = (len(mass_edges) - 1, len(pt_edges) - 1)
    weights = None if weight is None else weight[inside]
    return np.bincount((mass_bin * shape[1] + pt_bin)[inside], weights, shape[0] * shape[1]).reshape(shape)


def bin_edges(flatten_config: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of the mass and pT bins in GeV; a variable that is not flattened has a single bin.

    Args:
        flatten_config: `variables` to flatten ("mass", "pt"), and `range` in GeV and number of `bins` of each variable.
    """
    mass, pt = (
        np.linspace(*flatten_config[name]["range"], flatten_config[name]["bins"] + 1) for name in ("mass", "pt")
    )
    variables = flatten_config["variables"]
    return mass if "mass" in variables else mass[[0, -1]], pt if "pt" in variables else np.array(SINGLE_PT_BIN)


def flatten(mass_edges: np.ndarray, pt_edges: np.ndarray, counts: np.ndarray) -> Flattening:
    """Return the flattening that keeps, on average, as many jets per bin as the least populated bin has.

    Raises:
        BadInput: If a bin of the training jets `counts` (mass bins, pT bins) is empty.
    """
    mass_edges, pt_edges = np.asarray(mass_edges, float), np.asarray(pt_edges, float)
    if (counts == 0).any():
        row, column = np.argwhere(counts == 0)[0]
        empty = f"mass {mass_edges[row]:g}–{mass_edges[row + 1]:g} GeV"
        if len(pt_edges) > 2:
            empty += f" and pT {pt_edges[column]:g}–{pt_edges[column + 1]:g} GeV"
        raise BadInput(
            f"cannot be flattened: no training jet has {empty}; take more jets, or fewer bins or a smaller range in "
            "'flatten'"
        )
    return Flattening(mass_edges, pt_edges, counts.min() / counts)


def chi_squared(counts: np.ndarray) -> tuple[float, int]:
    """Return χ² of the counts against equal counts, and the degrees of freedom."""
    expected = counts.mean()
    return float(((counts - expected) ** 2).sum() / expected), counts.size - 1
