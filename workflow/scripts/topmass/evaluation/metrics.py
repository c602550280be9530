"""Metrics of predicted masses, computed from means or quantiles over jets."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

OUTLIER_THRESHOLD = 0.5
"""Relative error above which a prediction is an outlier."""


class Metric(NamedTuple):
    """Metric of the predictions for a set of jets.

    Attributes:
        title: Definition in words.
        unit: Unit of display. A metric in "%" is stored as a fraction.
        per_jet: Computes K quantities per jet (K, N) from generated and predicted mass (N,) in GeV.
        levels: Quantile levels; if empty, the metric is computed from means.
        combine: Computes the metric (…) from the means (K, …), or from the quantiles (levels, …) of the only row.
    """

    title: str
    unit: str
    per_jet: Callable[[np.ndarray, np.ndarray], np.ndarray]
    levels: Sequence[float] = ()
    combine: Callable[[np.ndarray], np.ndarray] = lambda means: means[0]

    @property
    def factor(self) -> int:
        """Factor from the stored to the displayed value."""
        return 100 if self.unit == "%" else 1


def error(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return predicted − generated mass in GeV."""
    return (predicted - mass)[None]


def absolute(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return |predicted − generated| in GeV."""
    return np.abs(error(mass, predicted))


def relative(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return |predicted − generated| / generated."""
    return absolute(mass, predicted) / mass


def is_outlier(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return 1 where the relative error is above `OUTLIER_THRESHOLD`, else 0."""
    return (relative(mass, predicted) > OUTLIER_THRESHOLD).astype(float)


def response(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return predicted / generated mass."""
    return (predicted / mass)[None]


def moments(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return both masses, their squares and their product; 300 GeV are subtracted to reduce rounding errors."""
    x, y = mass - 300, predicted - 300
    return np.stack([x, y, x * x, y * y, x * y])


def variances(means: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return variance of generated mass, variance of predicted mass and covariance from the means of `moments`."""
    x, y, xx, yy, xy = means
    return xx - x * x, yy - y * y, xy - x * y


def slope(means: np.ndarray) -> np.ndarray:
    """Return the slope of the least-squares line of predicted against generated mass; 1 means no compression."""
    mass_variance, _, covariance = variances(means)
    return covariance / mass_variance


def correlation(means: np.ndarray) -> np.ndarray:
    """Return Pearson's coefficient of predicted and generated mass; NaN for a constant prediction."""
    mass_variance, predicted_variance, covariance = variances(means)
    # A constant prediction has a variance of rounding errors only.
    defined = np.where(predicted_variance > 1e-6 * mass_variance, predicted_variance, np.nan)
    return covariance / np.sqrt(mass_variance * defined)


MEDIAN = (0.5,)
METRICS = {
    "mae": Metric("mean absolute error", "GeV", absolute),
    "mre": Metric("mean relative error", "%", relative),
    "median_error": Metric("median absolute error", "GeV", absolute, MEDIAN),
    "rmse": Metric(
        "root mean square error", "GeV", lambda *masses: error(*masses) ** 2, (), lambda means: np.sqrt(means[0]),
    ),
    "response": Metric("median of predicted / generated", "", response, MEDIAN),
    "resolution": Metric(
        "half of the width from 16 to 84 % of predicted / generated", "%", response, (0.16, 0.84),
        lambda ends: (ends[1] - ends[0]) / 2,
    ),
    "bias": Metric("median of predicted − generated", "GeV", error, MEDIAN),
    "far_off": Metric("jets wrong by more than half", "%", is_outlier),
    "slope": Metric("slope of predicted against generated", "", moments, (), slope),
    "correlation": Metric("correlation of predicted and generated", "", moments, (), correlation),
}  # fmt: skip
"""Metrics by their names in `metrics.json`."""
