"""What is told of predicted masses, each a function of means over jets or of quantiles of one number a jet."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

FAR = 0.5
"""Relative error from which a prediction counts as far off."""


class Metric(NamedTuple):
    """One number about the predictions for some jets.

    `of` makes of generated and predicted mass, (N,) GeV, rows (K, N) of numbers a jet. Their means (K, …), or with
    `levels` the quantiles (levels, …) of the only row, become the metric (…) by `combine`. A percentage is a fraction
    times 100 where it is shown, and a fraction everywhere else.
    """

    title: str
    unit: str
    of: Callable[[np.ndarray, np.ndarray], np.ndarray]
    levels: Sequence[float] = ()
    combine: Callable[[np.ndarray], np.ndarray] = lambda found: found[0]


def error(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Predicted − generated, GeV."""
    return (predicted - mass)[None]


def absolute(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """|predicted − generated|, GeV."""
    return np.abs(error(mass, predicted))


def relative(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """|predicted − generated| / generated."""
    return absolute(mass, predicted) / mass


def response(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Predicted / generated."""
    return (predicted / mass)[None]


def moments(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Both, their squares and their product; of masses less 300 GeV, so that little is lost in the differences."""
    x, y = mass - 300, predicted - 300
    return np.stack([x, y, x * x, y * y, x * y])


def variances(found: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variance of generated, of predicted mass, and their covariance, from the means of `moments`."""
    x, y, xx, yy, xy = found
    return xx - x * x, yy - y * y, xy - x * y


def slope(found: np.ndarray) -> np.ndarray:
    """Of the straight line of least squares through predicted against generated mass: 1 if nothing is compressed."""
    of_mass, _, both = variances(found)
    return both / of_mass


def correlation(found: np.ndarray) -> np.ndarray:
    """Pearson's coefficient of predicted and generated mass; nothing for predictions that are all the same."""
    of_mass, of_predicted, both = variances(found)
    # What is left of rounding is no spread.
    return both / np.sqrt(of_mass * np.where(of_predicted > 1e-6 * of_mass, of_predicted, np.nan))


HALF = (0.5,)
METRICS = {
    "mae": Metric("mean absolute error", "GeV", absolute),
    "mre": Metric("mean relative error", "%", relative),
    "median_error": Metric("median absolute error", "GeV", absolute, HALF),
    "rmse": Metric("root mean square error", "GeV", lambda *masses: error(*masses) ** 2, (), lambda of: np.sqrt(of[0])),
    "response": Metric("median of predicted / generated", "", response, HALF),
    "resolution": Metric(
        "half of the width from 16 to 84 % of predicted / generated", "%", response, (0.16, 0.84),
        lambda ends: (ends[1] - ends[0]) / 2,
    ),
    "bias": Metric("median of predicted − generated", "GeV", error, HALF),
    "far_off": Metric("jets wrong by more than half", "%", lambda *masses: (relative(*masses) > FAR).astype(float)),
    "slope": Metric("slope of predicted against generated", "", moments, (), slope),
    "correlation": Metric("correlation of predicted and generated", "", moments, (), correlation),
}  # fmt: skip
"""By the names that `metrics.json` has them by."""
