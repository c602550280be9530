"""Flattening by accept–reject."""

import numpy as np
import pytest

from topmass.files import BadInput
from topmass.preprocessing.flattening import chi_squared, flatten, histogram_counts
from topmass.preprocessing.split import hash_uniform

MASS, PT = np.linspace(85, 500, 11), np.linspace(400, 1000, 7)
ANY = np.array([0, 1e6])


def falling(jets: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Masses and pT that fall over their ranges, and are correlated."""
    rng = np.random.default_rng(seed)
    mass = 85 + 415 * rng.random(jets) ** 1.5
    return mass, 400 + 600 * rng.random(jets) ** (1 + mass / 500)


@pytest.mark.parametrize("pt_edges", [ANY, PT])
def test_what_is_kept_of_other_jets_is_flat(pt_edges):
    measured, applied = falling(400_000), falling(400_000, 1)
    flattening = flatten(MASS, pt_edges, histogram_counts(MASS, pt_edges, *measured))
    before, _ = chi_squared(histogram_counts(MASS, pt_edges, *applied))
    kept = flattening.accepts(*applied, hash_uniform("s", "unbias", np.arange(400_000)))
    after, degrees = chi_squared(histogram_counts(MASS, pt_edges, *(quantity[kept] for quantity in applied)))
    # Both samples fluctuate, so that χ² is up to twice its usual value.
    assert before > 1000 * degrees and after < 3 * degrees


def test_the_emptiest_bin_keeps_all():
    flattening = flatten([85, 200, 500], ANY, np.array([[30], [10]]))
    assert flattening.keep_probability.tolist() == [[1 / 3], [1]]


def test_jets_outside_are_never_kept_and_those_on_the_last_edge_are():
    flattening = flatten([85, 200, 500], ANY, np.array([[1], [1]]))
    assert flattening.accepts(np.array([84.9, 85, 500, 500.1]), np.full(4, 500.0), np.zeros(4)).tolist() == [
        False,
        True,
        True,
        False,
    ]


def test_an_empty_bin_is_refused_and_named():
    with pytest.raises(BadInput, match="mass 200–500 GeV"):
        flatten([85, 200, 500], ANY, np.array([[5], [0]]))
    with pytest.raises(BadInput, match="mass 85–200 GeV and pT 700–1000 GeV"):
        flatten([85, 200, 500], [400, 700, 1000], np.array([[5, 0], [1, 1]]))


def test_chi_squared_of_flat_counts_is_zero():
    assert chi_squared(np.full((5, 2), 7)) == (0, 9)
