"""Template fit of the top mass: statistical error, closure, and shifts by systematic variations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from iminuit import Minuit

from topmass.console import log_info
from topmass.evaluation.fit_results import FIT_TITLES, FIT_VERSION
from topmass.evaluation.fit_samples import Binning, EventDraws, FitSample
from topmass.evaluation.mass_templates import MassGrid, Templates, reweighted
from topmass.evaluation.sample_jets import effective_number
from topmass.files import BadInput
from topmass.progress import track

CLOSURE = (-3.0, -1.5, 0.0, 1.5, 3.0)
"""Top masses of the closure test minus the nominal one, GeV."""
MARGIN = 5
"""Distance in GeV between the ends of the range of generated masses and the largest and smallest fitted top mass."""
TOP_PT = "top_pt_reweighted"
"""Variation without a sample of its own: the nominal sample, weighted by `top_pt_weight`."""


@dataclass(frozen=True)
class FitSettings:
    """Settings of the fit.

    Attributes:
        top_mass: Top mass of the nominal sample, GeV.
        mass_range: Range of the generated mass in the sample of the templates, GeV.
        span: Range of the binned estimates, GeV.
        bin_width: Width of the bins, GeV.
        jets: Number of jets of top quarks for which the statistical error is quoted.
        background_fraction: Fraction of background jets in the pseudo-data of the fits with background.
        resamples: Number of bootstrap resamples of the events.
        seed: Seed of the bootstrap.
    """

    top_mass: float
    mass_range: tuple[float, float]
    span: tuple[float, float]
    bin_width: float
    jets: int
    background_fraction: float
    resamples: int
    seed: int


def top_pt_weight(top_pt: np.ndarray) -> np.ndarray:
    """Return the weights (N,) of jets with top quarks of these pT in GeV: data / simulation, as published by CMS.

    The form exp(0.0615 − 0.0005 pT) is that of CMS's page TopPtReweighting for 13 TeV. CMS takes the geometric mean of
    both top quarks of an event; here each jet has the weight of its own top quark.
    """
    return np.exp(0.0615 - 0.0005 * top_pt)


class PseudoData:
    """Likelihood fits of normalised spectra, with or without a background whose fraction is free."""

    def __init__(self, settings: FitSettings, background: np.ndarray | None) -> None:
        """Prepare fits.

        Args:
            settings: Settings of the fit.
            background: Normalised spectrum (B,) of the background; None for a fit without background.
        """
        self.settings = settings
        self.background = background
        self.fraction = 0.0 if background is None else settings.background_fraction
        self.limits = (settings.mass_range[0] + MARGIN, settings.mass_range[1] - MARGIN)

    def mix(self, signal: np.ndarray, fraction: float) -> np.ndarray:
        """Return the spectrum (B,) with a fraction of background."""
        return signal if self.background is None else (1 - fraction) * signal + fraction * self.background

    def fit(self, templates: Templates, signal: np.ndarray) -> tuple[float, Minuit]:
        """Return the fitted top mass in GeV, and the minimum.

        The mass is NaN at a limit of the top mass, or if the fit did not converge. The pseudo-data have no
        fluctuations. The likelihood is multinomial: expected yields are normalised to the pseudo-data.

        Args:
            templates: Templates of the signal.
            signal: Normalised spectrum (B,) of the signal in the pseudo-data.
        """
        data = self.settings.jets / (1 - self.fraction) * self.mix(signal, self.fraction)

        def cost(top_mass: float, fraction: float) -> float:
            return -float(data @ np.log(self.mix(templates.at(top_mass), fraction)))

        minuit = Minuit(cost, top_mass=self.settings.top_mass, fraction=self.fraction)
        minuit.errordef = Minuit.LIKELIHOOD
        minuit.limits = [self.limits, (0, 0.99)]
        minuit.errors = [0.5, 0.02]
        minuit.fixed["fraction"] = self.background is None
        minuit.migrad()
        value = minuit.values["top_mass"]
        at_limit = min(abs(value - limit) for limit in self.limits) < 0.05
        return value if minuit.valid and not at_limit else np.nan, minuit

    def error(self, templates: Templates) -> float:
        """Return the statistical error in GeV of a fit to the template at the nominal top mass; NaN if inaccurate."""
        minuit = self.fit(templates, templates.at(self.settings.top_mass))[1]
        minuit.hesse()
        return minuit.errors["top_mass"] if minuit.valid and minuit.accurate else np.nan


class EstimatorFits:
    """All fits of one estimator, for one set of weights."""

    def __init__(
        self, binning: Binning, wide: FitSample, nominal: FitSample, background: FitSample | None,
        variations: Sequence[FitSample], settings: FitSettings,
    ) -> None:  # fmt: skip
        """Compute the bins of all jets; the arguments are those of `fit_top_mass`."""
        self.binning, self.settings, self.wide, self.variations = binning, settings, wide, variations
        self.nominal, self.background = nominal, background
        self.grid = MassGrid(*settings.mass_range)
        others = [nominal, *variations, *([background] if background else [])]
        self.index = {sample.name: binning.index(sample) for sample in others}
        # Even and odd events are the two independent halves of the closure test.
        half_and_mass = (wide.event % 2) * self.grid.number + self.grid.index(wide.mass)
        self.cell = half_and_mass * binning.number + binning.index(wide)

    def spectrum(self, sample: FitSample, weight: np.ndarray) -> np.ndarray:
        """Return the normalised spectrum (B,) of a sample with these weights (N,)."""
        counts = np.bincount(self.index[sample.name], weight, self.binning.number)
        return counts / counts.sum()

    def halves(self, factors: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the sums of weights (2, J, B) of the two halves of the templates' sample."""
        weight = self.wide.weight * factors[self.wide.name]
        shape = (2, self.grid.number, self.binning.number)
        return np.bincount(self.cell, weight, np.prod(shape)).reshape(shape)

    def run(self, factors: Mapping[str, np.ndarray]) -> dict[bool, np.ndarray]:
        """Return the results without and with background, each (1 + closure tests + 1 + variations,).

        The results are 1 / σ² of a fit to `jets` jets, fitted minus true masses of the closure test, fitted minus true
        mass of the nominal sample, and shifts of the fitted mass by the variations.

        Args:
            factors: Factors (N,) for the weights of each sample.
        """
        halves = self.halves(factors)
        templates = Templates(self.grid, halves.sum(axis=0))
        by_half = [Templates(self.grid, counts) for counts in halves]
        top_mass = self.settings.top_mass
        weights = {s.name: s.weight * factors[s.name] for s in (self.nominal, *self.variations)}
        spectra = [self.spectrum(sample, weights[sample.name]) for sample in (self.nominal, *self.variations)]
        spectra.append(self.spectrum(self.nominal, weights[self.nominal.name] * top_pt_weight(self.nominal.top_pt)))
        backgrounds = [None]
        if self.background:
            factor = factors[self.background.name]
            backgrounds.append(self.spectrum(self.background, self.background.weight * factor))
        results = {}
        for background in backgrounds:
            data = PseudoData(self.settings, background)
            error = data.error(templates)
            closure = [
                np.mean([
                    data.fit(by_half[1 - i], reweighted(self.grid, halves[i], true))[0] - true for i in range(2)
                ])
                for true in (top_mass + distance for distance in CLOSURE)
            ]  # fmt: skip
            fitted = np.array([data.fit(templates, spectrum)[0] for spectrum in spectra])
            nominal = fitted[0]
            results[background is not None] = np.array([
                error**-2, *closure, nominal - top_mass, *(fitted[1:] - nominal)
            ])  # fmt: skip
        return results


def fit_top_mass(
    wide: FitSample, nominal: FitSample, background: FitSample | None, variations: Sequence[FitSample],
    settings: FitSettings,
) -> dict:  # fmt: skip
    """Return the results of all fits, without the entries that identify the run.

    The format is workflow/schemas/top_mass_fit.schema.yaml. Jets of top quarks whose mass is outside the range of the
    templates are ignored.

    Args:
        wide: Top quarks with a wide range of masses, for the templates.
        nominal: Top quarks at one mass.
        background: Jets of the background; None for fits without background only.
        variations: Top quarks at the nominal mass, each simulated with another setting.
        settings: Settings of the fit.

    Raises:
        BadInput: If a sample or the templates have too few jets, or the nominal fit is outside of their range.
    """
    grid = MassGrid(*settings.mass_range)
    wide, nominal, *variations = (sample.within(grid) for sample in (wide, nominal, *variations))
    samples = [wide, nominal, *([background] if background else []), *variations]
    estimators = [name for name in wide.estimators if all(name in sample.estimators for sample in samples)]
    for name in (name for name in wide.estimators if name not in estimators):
        log_info(f"without {FIT_TITLES[name]}, which a sample lacks")
    names = [*(sample.name for sample in variations), TOP_PT]
    if np.isnan(nominal.top_pt).any():
        raise BadInput(f"sample '{nominal.name}': jets without top_pt; expected simulated top quarks")
    draws = EventDraws(samples, settings.seed)
    unit = {sample.name: np.ones(sample.jets) for sample in samples}
    fits = [
        EstimatorFits(
            Binning(name, wide, settings.top_mass, settings.span, settings.bin_width),
            wide, nominal, background, variations, settings,
        )
        for name in estimators
    ]  # fmt: skip
    values = [fit.run(unit) for fit in fits]
    resamples = [[] for _ in fits]
    for _ in track(range(settings.resamples), "top mass fit", "resample", settings.resamples):
        factors = draws.draw()
        for fit, results in zip(fits, resamples, strict=True):
            results.append(fit.run(factors))
    return {
        "version": FIT_VERSION,
        "top_mass": settings.top_mass,
        "jets": settings.jets,
        "background_fraction": settings.background_fraction if background else None,
        "bootstrap": {"resamples": settings.resamples, "seed": settings.seed},
        "samples": [
            {
                "name": sample.name,
                "jets": sample.jets,
                "effective_jets": effective_number(sample.weight),
                "common": sample.fraction_in(nominal),
            }
            for sample in samples
        ],
        "fits": [
            {"estimator": fit.binning.estimator, "background": with_background, "bins": int(fit.binning.number)}
            | summarise(value[with_background], [each[with_background] for each in replicas], names, settings, fit)
            for with_background in values[0]
            for fit, value, replicas in zip(fits, values, resamples, strict=True)
        ],
        "spectra": [spectrum_of(fit) for fit in fits if len(fit.binning.edges) == fit.binning.number - 1],
    }


def summarise(
    value: np.ndarray, resamples: Sequence[np.ndarray], names: Sequence[str], settings: FitSettings, fit: EstimatorFits
) -> dict:
    """Return the results of `EstimatorFits.run` as an entry of `fits`, with errors from the resamples.

    Args:
        value: Results (R,) of the original weights.
        resamples: Results (R,) of each resample.
        names: Names of the variations.
        settings: Settings of the fit.
        fit: Fits of the estimator, for messages.

    Raises:
        BadInput: If the nominal sample or a closure test has no fitted mass, or the templates have too few jets.
    """
    title, resampled = FIT_TITLES[fit.binning.estimator], pd.DataFrame(resamples)
    shifts = len(CLOSURE) + 2
    if np.isnan(value[1:shifts]).any():
        low, high = (end + sign * MARGIN for end, sign in zip(settings.mass_range, (1, -1), strict=True))
        problem = f"{title}: the fit of '{fit.nominal.name}' or of the closure test has no minimum"
        raise BadInput(f"{problem} from {low:g} to {high:g} GeV; to fix: simulate templates with a wider range")
    # Fluctuations of the templates add to their slopes, one time in the value and two times in the resamples.
    information = 2 * value[0] - resampled[0].mean()
    if not information > 0:
        problem = f"{title}: the templates are too uncertain for a statistical error"
        raise BadInput(f"{problem}; to fix: simulate more jets of '{fit.wide.name}'")
    # Undefined masses of single resamples are ignored.
    errors = resampled.std().to_numpy()
    squares = [quadratic_sum(each[shifts:], names) for each in (value, *resamples)]
    entries = [measured(*pair) for pair in zip(value, errors, strict=True)]
    for name, entry in zip(names, entries[shifts:], strict=True):
        if entry is None:
            log_info(f"{title}: the fitted mass of '{name}' is outside the range of the templates")
    true = [settings.top_mass + distance for distance in CLOSURE]
    return {
        "sigma": measured(information**-0.5, errors[0] / 2 * information**-1.5),
        "closure": [
            {"true": mass} | entry for mass, entry in zip(true, entries[1 : 1 + len(true)], strict=True)
        ],
        "nominal": entries[1 + len(true)],
        "shifts": dict(zip(names, entries[shifts:], strict=True)),
        "quadratic_sum": measured(squares[0], pd.Series(squares[1:]).std()),
    }  # fmt: skip


def measured(value: float, error: float) -> dict[str, float] | None:
    """Return a value with its error; None if undefined."""
    return {"value": float(value), "error": float(error)} if np.isfinite(value) else None


def quadratic_sum(shifts: np.ndarray, names: Sequence[str]) -> float:
    """Return the root of the sum of squared shifts; of a pair `…_up` and `…_down` the larger one counts.

    The sum is NaN if a shift is.
    """
    groups = {}
    for name, shift in zip(names, np.abs(shifts), strict=True):
        stem = name.removesuffix("_up").removesuffix("_down")
        groups[stem] = np.maximum(groups.get(stem, 0), shift)
    return float(np.sqrt(np.square(list(groups.values())).sum()))


def spectrum_of(fit: EstimatorFits) -> dict:
    """Return templates, nominal spectrum, and the fraction of each bin in 1 / σ²; for estimators without categories."""
    unit = np.ones(fit.wide.jets)
    templates = Templates(fit.grid, fit.halves({fit.wide.name: unit}).sum(axis=0))
    top_mass = fit.settings.top_mass
    information = templates.slope(top_mass) ** 2 / templates.at(top_mass)
    return {
        "estimator": fit.binning.estimator,
        "bin_width": fit.settings.bin_width,
        "edges": fit.binning.edges.tolist(),
        "templates": [
            {"top_mass": mass, "content": templates.at(mass).tolist()}
            for mass in (top_mass + CLOSURE[0], top_mass, top_mass + CLOSURE[-1])
        ],
        "nominal": fit.spectrum(fit.nominal, fit.nominal.weight).tolist(),
        "information": (information / information.sum()).tolist(),
    }
