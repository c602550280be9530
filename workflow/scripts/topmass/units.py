"""Detection of the unit of values that should be in GeV."""

import numpy as np

SCALED = "a number scaled to about 1, such as mass / 500"
FACTORS = {"GeV": 1.0, "MeV": 1e-3, "TeV": 1e3, SCALED: 500.0}
"""Conversion factors to GeV."""
REMEDIES = {
    "MeV": "divide it by 1000",
    "TeV": "multiply it by 1000",
    SCALED: "multiply it by what it was divided by",
    "standardised": "multiply it by the standard deviation and add the mean",
    "": "give it in GeV",
}
PLAUSIBLE = {
    "pt": (5.0, 1e4), "top_pt": (0.0, 1e4), "mass": (0.0, 5e3), "jet_mass": (0.0, 5e3), "softdrop_mass": (0.0, 5e3),
}  # fmt: skip
"""Range in GeV that a detector at the LHC can measure. The lower limit of a mass depends on the dataset."""
FEW = 0.1
"""Minimum fraction of values in the expected range for values in GeV; the rest may be outliers."""
MIN_OTHER_UNIT_FRACTION = 0.5
"""Minimum fraction in the expected range after conversion, for values in another unit."""


def find_unit(values: np.ndarray, low: float, high: float) -> str:
    """Return the unit that brings most values between `low` and `high`, in GeV.

    Args:
        values: Numbers (N,). Non-finite ones are ignored; zero and negative ones usually are, too.
        low: Lower limit of the expected range, GeV.
        high: Upper limit, GeV.

    Returns:
        "GeV" if plausible, another key of `FACTORS`, "standardised", or "" if none of these explains the values.
    """
    values = values[np.isfinite(values)]
    # Large values are not standardised: negative ones among them mark missing values, such as −999.
    if len(values) and np.mean(values < 0) >= FEW and np.quantile(np.abs(values), 0.99) < 10:
        return "standardised"
    positive = values[values > 0]
    if not len(positive) or np.mean((positive >= low) & (positive <= high)) >= FEW:
        return "GeV"
    inside = {
        unit: np.mean((positive >= low / factor) & (positive <= high / factor)) for unit, factor in FACTORS.items()
    }
    best = max(inside, key=inside.get)
    return best if inside[best] >= MIN_OTHER_UNIT_FRACTION else ""


def describe_range(name: str, values: np.ndarray, low: float, high: float, unit: str = "") -> str:
    """Return one line with the range of values (N,), their unit, the expected range in GeV and a fix."""
    values = values[np.isfinite(values)]
    extrema = f"{name} ranges from {format_value(values.min())} to {format_value(values.max())}"
    looks = f": it looks {unit}" if unit == "standardised" else f": it looks like {unit}" if unit else ""
    return f"{extrema}{looks}; expected GeV, {format_value(low)} to {format_value(high)}; to fix: {REMEDIES[unit]}"


def format_value(value: float) -> str:
    """Return a number with four digits, or with all digits before the decimal point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
