"""Templates of an estimator's spectrum at any top mass, from one sample with a wide mass range."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial.legendre import legvander

FERMI_CONSTANT = 1.16638e-5
"""GeV⁻²."""
W_MASS = 80.38
"""GeV."""
STRONG_COUPLING = 0.108
"""α_s at the top mass."""
MASS_STEP = 0.25
"""Width of the bins in generated mass, GeV; the sum over them replaces the integral over a Breit–Wigner curve."""
DEGREE = 4
"""Degree of the polynomials in the generated mass that describe the logarithms of the bin contents.

A Gaussian response has degree 2. For a range of 45 GeV and a resolution of 8 GeV or more, degree 4 biases the fit by
less than 0.01 GeV, degree 3 by 0.05 GeV. A higher degree adds variance.
"""
NEWTON_STEPS = 100
LARGEST_STEP = 1
"""Largest change of the logarithm of a bin content per Newton step; without a limit, bins with few jets oscillate."""
TOLERANCE = 1e-5
"""Relative change of the content of each bin, summed over masses, below which the steps end."""


def top_width(mass: float) -> float:
    """Return the natural width of a top quark of this mass, both in GeV: 1.34 GeV at 172.5 GeV.

    This is the formula of the Particle Data Group with the first QCD correction, without the masses of b quarks. Pythia
    computes the same value. The mean of the measurements is 1.42 GeV, with an error of 0.17 GeV.
    """
    ratio = (W_MASS / mass) ** 2
    lowest_order = FERMI_CONSTANT * mass**3 / (8 * math.pi * math.sqrt(2)) * (1 - ratio) ** 2 * (1 + 2 * ratio)
    return lowest_order * (1 - 2 * STRONG_COUPLING / (3 * math.pi) * (2 * math.pi**2 / 3 - 5 / 2))


@dataclass(frozen=True)
class MassGrid:
    """Bins of width `MASS_STEP` that cover a range of the generated mass, GeV."""

    low: float
    high: float

    @property
    def number(self) -> int:
        """Number of bins."""
        return round((self.high - self.low) / MASS_STEP)

    @cached_property
    def centres(self) -> np.ndarray:
        """Centres (J,) of the bins, GeV."""
        return self.low + (np.arange(self.number) + 0.5) * (self.high - self.low) / self.number

    def index(self, mass: np.ndarray) -> np.ndarray:
        """Return the bin of each mass (N,); −1 outside the range."""
        index = np.floor((mass - self.low) / (self.high - self.low) * self.number)
        return np.where((index >= 0) & (index < self.number), index, -1).astype(np.int64)

    def breit_wigner(self, top_mass: float) -> np.ndarray:
        """Return the probability (J,) of each bin for a top mass in GeV; the sum is 1.

        The width is proportional to the mass, as in Pythia. A bin has the density at its centre, which is exact enough
        for bins that are narrow compared with the width.
        """
        masses = self.centres
        squared, width = masses**2, top_width(top_mass)
        density = masses**3 / ((squared - top_mass**2) ** 2 + (squared * width / top_mass) ** 2)
        return density / density.sum()


class Templates:
    """Spectrum of an estimator as a function of the top mass.

    A Breit–Wigner curve is narrow, so few jets of a wide sample have a large weight at a given top mass. Therefore each
    bin content is described as a smooth function p(bin | m) of the generated mass m, with the jets of the complete
    range. The template at a top mass is the integral of p(bin | m) over the Breit–Wigner curve.

    The logarithm of p(bin | m) is a polynomial, so that all contents are positive. Each bin is a Poisson regression;
    afterwards the contents of all bins are normalised at each mass. The density of the generated mass is not needed.
    """

    def __init__(self, grid: MassGrid, counts: np.ndarray) -> None:
        """Fit the polynomials.

        Args:
            grid: Bins in generated mass.
            counts: Sum of weights (J, B) in bins of generated mass and of the estimator.
        """
        self.grid = grid
        # Legendre polynomials of the centres of the bins, with the ends of the range at −1 and 1.
        basis = legvander(np.linspace(-1, 1, 2 * grid.number + 1)[1::2], DEGREE)
        content = poisson_regression(basis, counts / counts.sum(), counts.sum(axis=1) / counts.sum())
        self.probability = content / content.sum(axis=1, keepdims=True)

    def at(self, top_mass: float) -> np.ndarray:
        """Return the normalised spectrum (B,) at a top mass in GeV."""
        return self.grid.breit_wigner(top_mass) @ self.probability

    def slope(self, top_mass: float) -> np.ndarray:
        """Return the derivative (B,) of the spectrum with respect to the top mass, per GeV."""
        return self.at(top_mass + 0.5) - self.at(top_mass - 0.5)


def poisson_regression(basis: np.ndarray, counts: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    """Return the rates (J, B) = exp(basis · coefficients) with the largest Poisson likelihood, by Newton's method.

    Args:
        basis: Basis functions (J, K).
        counts: Contents (J, B); each column is a regression of its own.
        exposure: Expected content (J,) for a rate of 1.
    """
    coefficients = np.zeros((basis.shape[1], counts.shape[1]))
    coefficients[0] = np.log(np.maximum(counts.sum(axis=0), np.finfo(float).tiny) / exposure.sum())
    products = (basis[:, :, None] * basis[:, None]).reshape(len(basis), -1)
    for _ in range(NEWTON_STEPS):
        expected = exposure[:, None] * np.exp(basis @ coefficients)
        gradient = basis.T @ (counts - expected)
        hessian = (products.T @ expected).T.reshape(counts.shape[1], *2 * coefficients.shape[:1])
        # A small ridge keeps bins solvable whose jets have almost one mass.
        ridge = 1e-9 * np.trace(hessian, axis1=1, axis2=2)[:, None, None] * np.eye(len(coefficients))
        step = np.linalg.solve(hessian + ridge, gradient.T[:, :, None])[:, :, 0].T
        change = np.abs(basis @ step)
        coefficients += step * np.minimum(1, LARGEST_STEP / np.maximum(change.max(axis=0), TOLERANCE))
        if ((expected * change).sum(axis=0) <= TOLERANCE * counts.sum(axis=0)).all():
            break
    return np.exp(basis @ coefficients)


def reweighted(grid: MassGrid, counts: np.ndarray, top_mass: float) -> np.ndarray:
    """Return the normalised spectrum (B,) of the jets, each weighted by Breit–Wigner curve / density of its mass.

    The density is the histogram of the generated mass of the same jets. This spectrum has no model of the dependence on
    the mass, but the statistical error of the few jets near the top mass.

    Args:
        grid: Bins in generated mass.
        counts: Sum of weights (J, B) in bins of generated mass and of the estimator.
        top_mass: Top mass in GeV.
    """
    density = counts.sum(axis=1)
    filled = density > 0
    spectrum = (grid.breit_wigner(top_mass)[filled] / density[filled]) @ counts[filled]
    return spectrum / spectrum.sum()
