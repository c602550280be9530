"""Intervals of metrics, by resampling events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from topmass.scoring.metrics import METRICS, Metric

AT_ONCE = 50_000_000
"""Weights of jets in memory, a byte each: of as many draws as that is."""
Number = dict[str, float] | None
"""A value and the ends, `low` and `high`, of its interval; None where there is none."""


@dataclass(frozen=True)
class Bootstrap:
    """How many times the events are resampled, the level of the percentile intervals, and the random seed."""

    resamples: int
    level: float
    seed: int

    def draws(self, event: np.ndarray) -> Iterator[np.ndarray]:
        """Weights (draws, N), uint8, of the jets of these events (N,), for all resamples in several pieces.

        The jets of one event are drawn together, a Poisson number of times with mean one. The draws depend on the
        events and the seed alone: all estimators of the same jets are resampled alike, and can be compared.
        """
        known, group = np.unique(event, return_inverse=True)
        rng = np.random.default_rng(self.seed)
        piece = max(1, AT_ONCE // len(event))
        for first in range(0, self.resamples, piece):
            yield rng.poisson(1, (min(piece, self.resamples - first), len(known))).astype(np.uint8)[:, group]

    def score(
        self, mass: np.ndarray, guesses: Mapping[str, np.ndarray], regions: Sequence[np.ndarray], event: np.ndarray
    ) -> list[dict[str, dict[str, Number]]]:
        """All metrics, by estimator and name, of the jets in each region, which is given by their indices.

        `mass`, each of the `guesses` and `event` are (N,). A region without two events has no numbers.
        """
        measured = [
            {name: Measured(mass[region], guess[region]) for name, guess in guesses.items()}
            if len(np.unique(event[region])) > 1 else {}
            for region in regions
        ]  # fmt: skip
        for weights in self.draws(event):
            for region, estimators in zip(regions, measured, strict=True):
                here = weights[:, region] if estimators else weights
                for each in estimators.values():
                    each.resample(here)
        nothing = dict.fromkeys(METRICS)
        return [
            {name: estimators[name].numbers(self.level) if estimators else nothing for name in guesses}
            for estimators in measured
        ]


class Measured:
    """The metrics of one estimator for some jets: their values, and those of each resample so far."""

    def __init__(self, mass: np.ndarray, predicted: np.ndarray) -> None:
        masses = mass.astype(np.float64), predicted.astype(np.float64)
        kinds = {metric.of for metric in METRICS.values()}
        self.rows = {of: of(*masses) for of in kinds}
        sorted_kinds = {metric.of for metric in METRICS.values() if metric.levels}
        self.order = {of: np.argsort(self.rows[of][0], kind="stable") for of in sorted_kinds}
        self.drawn: dict[str, list[np.ndarray]] = {name: [] for name in METRICS}

    def resample(self, weights: np.ndarray) -> None:
        """Find all metrics with each draw of weights (draws, N)."""
        real = weights.T.astype(np.float64)
        total = real.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = {of: rows @ real / total for of, rows in self.rows.items()}
        reached = {of: np.cumsum(weights[:, order], axis=1, dtype=np.int32) for of, order in self.order.items()}
        for name, metric in METRICS.items():
            found = self.quantiles(metric, reached[metric.of]) if metric.levels else means[metric.of]
            self.drawn[name].append(combined(metric, found))

    def quantiles(self, metric: Metric, reached: np.ndarray) -> np.ndarray:
        """Of a metric's row, (levels, draws), by the sums of weights (draws, N) up to each jet in the row's order."""
        values = self.rows[metric.of][0][self.order[metric.of]]
        found = np.full((len(metric.levels), len(reached)), np.nan)
        for draw, sums in enumerate(reached):
            if sums[-1]:
                found[:, draw] = values[np.searchsorted(sums, np.multiply(metric.levels, sums[-1]))]
        return found

    def numbers(self, level: float) -> dict[str, Number]:
        """Each metric with its interval of this level; None where it is not defined."""
        return {name: self.number(name, level) for name in METRICS}

    def value(self, name: str) -> float:
        """One metric of the jets as they are; not a number where it is not defined."""
        metric = METRICS[name]
        rows = self.rows[metric.of]
        return float(combined(metric, np.quantile(rows[0], metric.levels) if metric.levels else rows.mean(axis=1)))

    def number(self, name: str, level: float) -> Number:
        """One metric with its interval."""
        value, sample = self.value(name), np.concatenate(self.drawn[name])
        # A resample may miss a region of few events altogether; such draws say nothing about it.
        sample = sample[np.isfinite(sample)]
        if not np.isfinite(value) or not len(sample):
            return None
        low, high = np.quantile(sample, [(1 - level) / 2, (1 + level) / 2])
        return {"value": value, "low": float(low), "high": float(high)}


def combined(metric: Metric, found: np.ndarray) -> np.ndarray:
    """A metric of its means or quantiles; not a number where it is not defined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return metric.combine(found)
