"""Errors of predicted masses. Each metric is a mean over jets of one number a jet."""

import numpy as np


def absolute_errors(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """|predicted − mass|, GeV; their mean is the MAE."""
    return np.abs(predicted - mass)


def relative_errors(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """|predicted − mass| / mass; their mean is the MRE."""
    return np.abs(predicted - mass) / mass


METRICS = {"mae": absolute_errors, "mre": relative_errors}
"""A metric's name, and the function of (mass, predicted) whose mean over jets it is."""
