"""The scale of each layer, and values brought to −1..1 by it."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

BITS_DROPPED = 14
"""Bins of the histogram are floats that agree in all but so many last bits: 0.2 % wide or less."""
BINS = 1 << (32 - BITS_DROPPED - 1)
LOG_GAIN = 100.0
"""With `compression: log`, a value of 1 / LOG_GAIN of the scale is where the logarithm sets in."""
COMPRESSIONS = ("none", "log")
Values = TypeVar("Values")
"""An array of NumPy or a tensor of torch."""


def require_scales(scales: Sequence[float], layers: int) -> None:
    """ValueError unless so many layers have a positive scale each."""
    # As they are used: a float64 may be zero or infinite as a float32.
    values = np.array(scales, np.float32)
    if values.shape != (layers,) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError("each layer needs a positive scale")


def magnitude_histogram(values: np.ndarray) -> np.ndarray:
    """Counts (BINS,) of the magnitudes of the non-zero float32 values, in bins cut out of their own binary form.

    Histograms of parts add up to that of the whole, so that quantiles can be had from any number of files.
    """
    magnitude = np.abs(values[values != 0]).astype(np.float32, copy=False)
    return np.bincount(magnitude.view(np.uint32) >> BITS_DROPPED, minlength=BINS)


def quantile(histogram: np.ndarray, share: float) -> float:
    """The upper edge of the bin in which this share of the counted magnitudes is reached; 0.2 % too high at most."""
    reached = np.cumsum(histogram)
    bin_above = int(np.searchsorted(reached, share * reached[-1])) + 1
    return float(np.uint32(bin_above << BITS_DROPPED).view(np.float32))


def scale_values(
    value: np.ndarray, scale: np.ndarray, zero_suppression: float, compression: str
) -> tuple[np.ndarray, np.ndarray]:
    """Scaled values, and which of them are left after zero suppression.

    `value` is divided by `scale` (both of one shape); what is then smaller than `zero_suppression` in magnitude is
    suppressed, what is larger than 1 becomes 1 (or −1). "log" compresses the rest to
    sign(x) log(1 + g |x|) / log(1 + g) with g = LOG_GAIN; "none" leaves it as it is.
    """
    scaled = value / scale
    kept = np.abs(scaled) >= zero_suppression
    scaled = np.clip(scaled, -1, 1)
    if compression == "log":
        scaled = np.sign(scaled) * np.log1p(LOG_GAIN * np.abs(scaled)) / np.log1p(LOG_GAIN)
    return scaled, kept


def restore_values(value: Values, scale: Values, compression: str) -> Values:
    """Values in the unit of their layer again, but for what was suppressed or clipped; the inverse of `scale_values`.

    Arrays or tensors, of one shape.
    """
    if compression == "log":
        # With operators that both have. 1 + g to the power of |x| is exp(|x| log(1 + g)).
        value = (2.0 * (value > 0) - 1.0) * ((1 + LOG_GAIN) ** abs(value) - 1) / LOG_GAIN
    return value * scale
