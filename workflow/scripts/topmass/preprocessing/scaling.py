"""Scales of layers and normalisation of values to −1..1."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

MAGNITUDE_BITS_DROPPED = 14
"""Low-order bits that floats in one histogram bin may differ in; bins are at most 0.2 % wide."""
MAGNITUDE_BINS = 1 << (32 - MAGNITUDE_BITS_DROPPED - 1)
LOG_GAIN = 100.0
"""With `compression: log`, values above 1 / LOG_GAIN of the scale are compressed logarithmically."""
COMPRESSIONS = ("none", "log")
Values = TypeVar("Values")
"""NumPy array or torch tensor."""


def require_scales(scales: Sequence[float], layers: int) -> None:
    """Raise ValueError unless each of the layers has a positive scale."""
    # Scales are used as float32: a valid float64 may become zero or infinite.
    values = np.array(scales, np.float32)
    if values.shape != (layers,) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError("each layer needs a positive scale")


def magnitude_histogram(values: np.ndarray) -> np.ndarray:
    """Return a histogram (MAGNITUDE_BINS,) of the magnitudes of non-zero float32 values by their leading bits."""
    magnitude = np.abs(values[values != 0]).astype(np.float32, copy=False)
    return np.bincount(magnitude.view(np.uint32) >> MAGNITUDE_BITS_DROPPED, minlength=MAGNITUDE_BINS)


def histogram_quantile(histogram: np.ndarray, share: float) -> float:
    """Return the quantile `share` of a histogram as the upper edge of its bin, at most 0.2 % too high."""
    reached = np.cumsum(histogram)
    bin_above = int(np.searchsorted(reached, share * reached[-1])) + 1
    return float(np.uint32(bin_above << MAGNITUDE_BITS_DROPPED).view(np.float32))


def normalize(
    value: np.ndarray, scale: np.ndarray, zero_suppression: float, compression: str
) -> tuple[np.ndarray, np.ndarray]:
    """Scale, clip to −1..1 and compress values, and apply zero suppression.

    Args:
        value: Values in the unit of their layer.
        scale: Scale of each value, same shape.
        zero_suppression: Minimum magnitude of a scaled value.
        compression: "log" is sign(x) log(1 + g |x|) / log(1 + g) with g = LOG_GAIN; "none" is the identity.

    Returns:
        Scaled values, and the mask of the values above zero suppression.
    """
    scaled = value / scale
    mask = np.abs(scaled) >= zero_suppression
    scaled = np.clip(scaled, -1, 1)
    if compression == "log":
        scaled = np.sign(scaled) * np.log1p(LOG_GAIN * np.abs(scaled)) / np.log1p(LOG_GAIN)
    return scaled, mask


def denormalize(value: Values, scale: Values, compression: str) -> Values:
    """Invert `normalize`, except for suppressed and clipped values; arrays or tensors of one shape."""
    if compression == "log":
        # These operators exist for arrays and tensors; (1 + g) ** |x| is exp(|x| log(1 + g)).
        value = (2.0 * (value > 0) - 1.0) * ((1 + LOG_GAIN) ** abs(value) - 1) / LOG_GAIN
    return value * scale
