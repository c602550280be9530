"""Samples of jets with predictions, as the top-mass fit uses them, and their bins."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from topmass.evaluation.mass_templates import MassGrid
from topmass.evaluation.sample_jets import ESTIMATE_COLUMNS, SampleJets, column, effective_from, read_sample
from topmass.files import BadInput

BY_WIDTH = "network_by_width"
"""Estimator: the network, in categories of the width of its interval."""
GENERATED = "gen_softdrop_mass"
"""Estimator without detector, and its column: the soft-drop mass of the generated jet; 0 for jets without one."""
CATEGORIES = 3
MIN_EFFECTIVE = 20
"""Fewest effective jets of the templates in a bin, with masses within `WINDOW` of the top mass."""
MIN_FRACTION = 0.005
"""Smallest fraction of these jets in the bins at the ends of a spectrum.

Almost empty bins carry no information, and their dependence on the mass cannot be measured.
"""
WINDOW = 10
"""GeV."""


@dataclass(frozen=True)
class FitSample:
    """Jets (N,) of a sample.

    Attributes:
        name: Name of the sample.
        event: Event number.
        weight: Weight.
        mass: Generated mass in GeV; NaN without a top quark.
        top_pt: Generated pT of the top quark in GeV; NaN without a top quark.
        values: Estimates in GeV by estimator: those of `ESTIMATE_COLUMNS` that all jets have, and `GENERATED` if
            any jet has it.
        width: Width of the network's interval in GeV; None if the network predicts no intervals.
    """

    name: str
    event: np.ndarray
    weight: np.ndarray
    mass: np.ndarray
    top_pt: np.ndarray
    values: Mapping[str, np.ndarray]
    width: np.ndarray | None

    @classmethod
    def load(cls, path: Path) -> "FitSample":
        """Load the file of `predict_sample`; the name of the sample is that of the file.

        Raises:
            BadInput: If the file cannot be used; see `SampleJets`.
        """
        # Jets of a background need no mass, so none is left out.
        table = read_sample(path, ("mass", "weight", "top_pt"))
        jets = SampleJets.from_table(table, path)
        generated = column(table, GENERATED)
        of_generator = {GENERATED: np.nan_to_num(generated)} if np.isfinite(generated).any() else {}
        return cls(
            path.stem,
            jets.event,
            jets.weights(np.arange(len(jets.event))),
            column(table, "mass"),
            column(table, "top_pt"),
            jets.estimates | of_generator,
            jets.intervals.high - jets.intervals.low if jets.intervals else None,
        )

    @property
    def estimators(self) -> list[str]:
        """Estimators of this sample, in the order of tables and figures."""
        by_width = [] if self.width is None else [BY_WIDTH]
        first, *others = (name for name in (*ESTIMATE_COLUMNS, GENERATED) if name in self.values)
        return [first, *by_width, *others]

    @property
    def jets(self) -> int:
        """Number of jets."""
        return len(self.event)

    def within(self, grid: MassGrid) -> "FitSample":
        """Return the jets whose generated mass is in a range.

        Raises:
            BadInput: If a jet has no generated mass, or no mass is in the range.
        """
        missing = int(np.isnan(self.mass).sum())
        if missing:
            problem = f"sample '{self.name}': {missing:,} of {self.jets:,} jets have no generated mass"
            raise BadInput(f"{problem}; expected top quarks only; to fix: choose another sample in 'top_mass_fit'")
        chosen = grid.index(self.mass) >= 0
        if not chosen.any():
            limits = f"no generated mass from {grid.low:g} to {grid.high:g} GeV, the range of the templates"
            raise BadInput(f"sample '{self.name}': {limits}; to fix: choose another sample in 'top_mass_fit'")
        return replace(
            self,
            **{name: getattr(self, name)[chosen] for name in ("event", "weight", "mass", "top_pt")},
            values={name: values[chosen] for name, values in self.values.items()},
            width=None if self.width is None else self.width[chosen],
        )

    def fraction_in(self, other: "FitSample") -> float:
        """Return the fraction of the jets whose event and top mass are in the other sample, too."""
        keys = [pd.MultiIndex.from_arrays([sample.event, sample.mass]) for sample in (self, other)]
        return float(keys[0].isin(keys[1]).mean())


class Binning:
    """Bins of an estimator, with one bin below and one above the range, per category.

    Bins with few jets are merged with their neighbours: an estimator need not fill the range. The criterion is
    `MIN_EFFECTIVE`, and at both ends of the spectrum `MIN_FRACTION`, too.

    Attributes:
        estimator: Estimator.
        number: Number of bins.
        edges: Edges between the bins in GeV; only without categories.
    """

    def __init__(
        self, estimator: str, sample: FitSample, top_mass: float, span: Sequence[float], bin_width: float
    ) -> None:
        """Define the bins for the jets of the templates.

        Args:
            estimator: Estimator of the sample.
            sample: Jets of the templates.
            top_mass: Top mass near which the bins are filled, GeV.
            span: Lower and upper edge of the range, GeV.
            bin_width: Width of the bins, GeV.

        Raises:
            BadInput: If fewer than two bins have enough jets.
        """
        self.estimator = estimator
        self.raw_edges = np.linspace(*span, round((span[1] - span[0]) / bin_width) + 1)
        self.width_edges = np.zeros(0)
        if estimator == BY_WIDTH:
            order = np.argsort(sample.width)
            cumulative = np.cumsum(sample.weight[order])
            levels = cumulative[-1] * np.arange(1, CATEGORIES) / CATEGORIES
            self.width_edges = sample.width[order][np.searchsorted(cumulative, levels)]
        near = np.abs(sample.mass - top_mass) < WINDOW
        raw = self.raw_index(sample)[near]
        categories, per_category = len(self.width_edges) + 1, len(self.raw_edges) + 1
        sums, squares = (
            np.bincount(raw, weights, categories * per_category).reshape(categories, per_category)
            for weights in (sample.weight[near], sample.weight[near] ** 2)
        )
        self.merged = np.zeros(sums.shape, np.int64)
        self.number = 0
        for labels, total, square in zip(self.merged, sums, squares, strict=True):
            labels += self.number + self.merge(total, square, MIN_FRACTION * sums.sum())
            self.number = labels[-1] + 1
        self.edges = self.raw_edges[np.flatnonzero(np.diff(self.merged[0]))]

    def merge(self, total: np.ndarray, square: np.ndarray, least: float) -> np.ndarray:
        """Return the merged bin of each bin, from sums of weights and of squared weights.

        Args:
            total: Sum of weights of each bin.
            square: Sum of squared weights of each bin.
            least: Smallest sum of weights at an end.

        Raises:
            BadInput: If fewer than two bins remain.
        """
        first = enough(total, square, least)
        last = len(total) - 1 - enough(total[::-1], square[::-1], least)
        if first >= last:
            jets = f"{effective_from(total.sum(), square.sum()):.0f} effective jets near the top mass"
            raise BadInput(
                f"templates of {self.estimator}: all bins but one are empty, with {jets}; expected two or more bins; "
                "to fix: simulate more jets, or change 'range' and 'bin_width' of 'top_mass_fit'"
            )
        starts = [first + 1]
        while starts[-1] < last:
            inner = slice(starts[-1], last)
            starts.append(starts[-1] + 1 + enough(total[inner], square[inner], 0))
        # The bins before the end may be too few for a bin of their own.
        if len(starts) > 1:
            rest = slice(starts[-2], last)
            if effective_from(total[rest].sum(), square[rest].sum()) < MIN_EFFECTIVE:
                del starts[-2]
        return np.searchsorted(starts, np.arange(len(total)), side="right")

    def raw_index(self, sample: FitSample) -> np.ndarray:
        """Return the bin (N,) of each jet before the merging."""
        values = sample.values["network" if self.estimator == BY_WIDTH else self.estimator]
        bins = np.searchsorted(self.raw_edges, values, side="right")
        if not len(self.width_edges):
            return bins
        return bins + (len(self.raw_edges) + 1) * np.searchsorted(self.width_edges, sample.width, side="right")

    def index(self, sample: FitSample) -> np.ndarray:
        """Return the bin (N,) of each jet."""
        return self.merged.ravel()[self.raw_index(sample)]


def enough(total: np.ndarray, square: np.ndarray, least: float) -> int:
    """Return the first bin up to which all bins together meet both criteria; the last one if none does."""
    for i, (weight, squared) in enumerate(zip(np.cumsum(total), np.cumsum(square), strict=True)):
        if weight >= least and effective_from(weight, squared) >= MIN_EFFECTIVE:
            return i
    return len(total) - 1


class EventDraws:
    """Bootstrap over events; all jets with one event number have the same Poisson weight, in all samples.

    Samples with the same generated events are thus resampled together, so that common fluctuations cancel in a shift.
    For independent events with equal numbers, common weights do not correlate the results.
    """

    def __init__(self, samples: Iterable[FitSample], seed: int) -> None:
        """Collect the event numbers of all samples."""
        samples = list(samples)
        events, group = np.unique(np.concatenate([sample.event for sample in samples]), return_inverse=True)
        ends = np.cumsum([sample.jets for sample in samples])[:-1]
        self.groups = dict(zip([sample.name for sample in samples], np.split(group, ends), strict=True))
        self.events = len(events)
        self.rng = np.random.default_rng(seed)

    def draw(self) -> dict[str, np.ndarray]:
        """Return a factor (N,) for the weights of each sample."""
        weights = self.rng.poisson(1, self.events).astype(np.float64)
        return {name: weights[group] for name, group in self.groups.items()}
