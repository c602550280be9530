"""Spectra of estimated and generated masses."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from topmass.plotting.style import ESTIMATORS, LABEL, FigureData, add_legend

JETS_PER_BIN = 100
"""Mean number of jets per bin."""
MIN_BINS, MAX_BINS = 10, 40
BEYOND = 0.15
"""Distance from the largest generated mass to the end of the spectra, as a fraction of the mass range."""
RATIOS = (0.06, 16)
"""Range of the ratio axis."""
TRUTH = "generated"


def spectra(mass: np.ndarray, estimates: Mapping[str, np.ndarray], slope: float) -> FigureData:
    """Draw the mass spectra of all estimators, and below them their ratios to the generated spectrum.

    On the left all jets have weight 1, on the right exp(−mass / slope).

    Args:
        mass: Generated masses `(N,)`, GeV.
        estimates: Masses `(N,)` in GeV by estimator.
        slope: Slope of the falling spectrum, GeV.
    """
    edges = bins_around(mass)
    weights = {"alike": np.ones(len(mass)), "falling": np.exp((mass.min() - mass.astype(np.float64)) / slope)}
    figure = Figure(figsize=(14, 8.6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, height_ratios=(2.4, 1))
    tables = []
    for (weighting, weight), (upper, lower) in zip(weights.items(), panels.T, strict=True):
        densities = {name: density(values, weight, edges) for name, values in {TRUTH: mass, **estimates}.items()}
        draw_spectra(upper, lower, edges, densities)
        for name, (values, error) in densities.items():
            bins = {"weighting": weighting, "start": edges[:-1], "end": edges[1:], "estimator": name}
            tables.append(pd.DataFrame({**bins, "density": values, "error": error}))
    set_axes(panels, edges, slope)
    figure.align_ylabels(panels[:, 0])
    figure.suptitle(f"{LABEL}, {len(mass):,} test jets", x=0.01, horizontalalignment="left", fontsize="medium")
    lines = [Line2D([], [], label=ESTIMATORS[name].title, **ESTIMATORS[name].line) for name in estimates]
    add_legend(figure, [Patch(color="0.8", label=TRUTH), *lines])
    return FigureData(figure, pd.concat(tables))


def bins_around(mass: np.ndarray) -> np.ndarray:
    """Return edges of equal bins from about zero to above the masses `(N,)`; both ends of the mass range are edges."""
    low, high = float(mass.min()), max(float(mass.max()), float(mass.min()) + 1)
    bins = int(np.clip(len(mass) // JETS_PER_BIN, MIN_BINS, MAX_BINS))
    # Slightly wider, so that the largest mass lies inside the last bin of the mass range.
    width = (1 + 1e-6) * (high - low) / bins
    return low + width * np.arange(-np.ceil(low / width), bins + np.ceil(BEYOND * bins) + 1)


def density(values: np.ndarray, weight: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted density of all values and its statistical error, `(bins,)` each, in 10⁻³ / GeV."""
    sums, squares = (np.histogram(values, edges, weights=weight**power)[0] for power in (1, 2))
    unit = 1e3 / (weight.sum() * np.diff(edges))
    return sums * unit, np.sqrt(squares) * unit


def draw_spectra(upper: Axes, lower: Axes, edges: np.ndarray, densities: Mapping) -> None:
    """Draw densities with errors, and their ratios to the generated density where that is not zero."""
    truth, _ = densities[TRUTH]
    upper.stairs(truth, edges, fill=True, color="0.8")
    centre = (edges[:-1] + edges[1:]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, style in ESTIMATORS.items():
            if name in densities:
                value, error = densities[name]
                upper.stairs(value, edges, linewidth=2, **style.line)
                upper.errorbar(centre, value, error, fmt="none", color=style.color, linewidth=1)
                lower.stairs(np.where(truth > 0, value / truth, np.nan), edges, linewidth=2, **style.line)
    lower.axhline(1, color="0.4", linewidth=1, zorder=0)
    upper.set_ylim(bottom=truth[truth > 0].min() / 10)


def set_axes(panels: np.ndarray, edges: np.ndarray, slope: float) -> None:
    """Set titles, units and ranges of the panels `(2, 2)`."""
    flat, falling = panels[0]
    flat.set_title("all jets alike")
    flat.set_ylim(bottom=0)
    falling.set_title(rf"jets weighted with $e^{{-m/{slope:g}\,\mathrm{{GeV}}}}$")
    falling.set_yscale("log")
    flat.set_ylabel("Density ($10^{-3}$ / GeV)")
    panels[1, 0].set_ylabel("Ratio")
    for axes in panels[1]:
        axes.set(xlim=(0, edges[-1]), xlabel="Mass (GeV)", yscale="log", ylim=RATIOS)
