"""Baseline predictions that need no image."""

import numpy as np

from topmass.evaluation.predictions import Predictions


def baselines(jets: Predictions, min_mass: float) -> dict[str, np.ndarray]:
    """Return the predictions (N,) of each baseline in GeV.

    The two constants minimise the MAE and the MRE on the test jets themselves, so no other constant does better.
    A baseline is omitted if the source of the jets does not provide it.

    Args:
        jets: Test jets.
        min_mass: Generated mass in GeV above which jets determine the constants.
    """
    mass = jets.mass[jets.mass > min_mass]
    guesses = {
        "constant_mae": np.full_like(jets.mass, np.median(mass)),
        "constant_mre": np.full_like(jets.mass, weighted_median(mass, 1 / mass)),
        "jet_mass": jets.jet_mass,
        "softdrop_mass": jets.softdrop_mass,
    }
    return {name: guess for name, guess in guesses.items() if np.isfinite(guess).all()}


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the value that minimises the weighted sum of distances to all values."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
