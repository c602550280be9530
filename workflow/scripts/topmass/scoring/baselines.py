"""What the network has to beat: guesses that need no image."""

import numpy as np

from topmass.scoring.predictions import Predictions


def baselines(jets: Predictions, mass_above: float) -> dict[str, np.ndarray]:
    """For each baseline its guesses, (N,) GeV; those that the source of the jets does not know are left out.

    The two constants are the best there can be for the very jets of a mass above this: no honest constant does better.
    """
    mass = jets.mass[jets.mass > mass_above]
    guesses = {
        "constant_mae": np.full_like(jets.mass, np.median(mass)),
        "constant_mre": np.full_like(jets.mass, weighted_median(mass, 1 / mass)),
        "jet_mass": jets.jet_mass,
        "softdrop_mass": jets.softdrop_mass,
    }
    return {name: guess for name, guess in guesses.items() if np.isfinite(guess).all()}


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value that minimises the weighted sum of distances to all values."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
