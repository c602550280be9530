"""Intervals of metrics, by resampling events."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from topmass.scoring.metrics import Metric

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
        """Weights (N, draws), uint8, of the jets of these events (N,), for all resamples in several pieces.

        The jets of one event are drawn together, a Poisson number of times with mean one. The draws depend on the
        events and the seed alone: all estimators of the same jets are resampled alike, and can be compared.
        """
        known, group = np.unique(event, return_inverse=True)
        rng = np.random.default_rng(self.seed)
        piece = max(1, AT_ONCE // len(event))
        for first in range(0, self.resamples, piece):
            drawn = rng.poisson(1, (min(piece, self.resamples - first), len(known))).astype(np.uint8)
            yield np.ascontiguousarray(drawn.T)[group]

    def score(
        self, metrics: Mapping[str, Metric], columns: Mapping[str, Sequence[np.ndarray]],
        regions: Sequence[np.ndarray], event: np.ndarray,
    ) -> list[dict[str, dict[str, Number]]]:  # fmt: skip
        """These metrics, by estimator and name, of the jets in each region, which is given by their indices.

        Each of the `columns` of an estimator, what its metrics are made of, and `event` are (N,). A region without two
        events has no numbers.
        """
        measured = [
            {name: Measured(metrics, *(column[region] for column in each)) for name, each in columns.items()}
            if len(np.unique(event[region])) > 1 else {}
            for region in regions
        ]  # fmt: skip
        for weights in self.draws(event):
            for region, estimators in zip(regions, measured, strict=True):
                if estimators:
                    draws = Draws(weights[region])
                    for each in estimators.values():
                        each.resample(draws)
        nothing = dict.fromkeys(metrics)
        return [
            {name: estimators[name].numbers(self.level) if estimators else nothing for name in columns}
            for estimators in measured
        ]


class Draws:
    """Weights (N, draws) of some jets, and the sums of them that all estimators share."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights
        self.real = weights.astype(np.float64)
        self.total = self.real.sum(axis=0)

    def means(self, rows: np.ndarray) -> np.ndarray:
        """Of rows (K, N), (K, draws); not a number where a draw has no jet."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return rows @ self.real / self.total

    def quantiles(self, values: np.ndarray, order: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Of values (N,), sorted by `order`, (levels, draws); not a number where a draw has no jet.

        It is the first value at which the sum of the weights up to it is no less than the level's share of all. The
        block that it lies in is found by the sums of whole blocks, so that only few weights are added up one by one.
        """
        size = max(1, math.isqrt(len(order)))
        blocks = -(-len(order) // size)
        weights = np.zeros((blocks * size, len(self.total)), np.uint8)
        np.take(self.weights, order, axis=0, out=weights[: len(order)])
        ends = weights.reshape(blocks, size, -1).sum(axis=1, dtype=np.int32).cumsum(axis=0)
        found = np.full((len(levels), len(self.total)), np.nan)
        drawn = np.flatnonzero(self.total)
        for row, level in zip(found, levels, strict=True):
            wanted = level * self.total[drawn]
            block = (ends[:, drawn] < wanted).sum(axis=0)
            before = np.where(block, ends[block - 1, drawn], 0)
            within = weights[block * size + np.arange(size)[:, None], drawn].cumsum(axis=0, dtype=np.int32)
            row[drawn] = values[order[block * size + (before + within < wanted).sum(axis=0)]]
        return found


class Measured:
    """Metrics of one estimator for some jets: their values, and those of each resample so far."""

    def __init__(self, metrics: Mapping[str, Metric], *columns: np.ndarray) -> None:
        numbers = [column.astype(np.float64) for column in columns]
        self.metrics = metrics
        self.rows = {of: of(*numbers) for of in {metric.of for metric in metrics.values()}}
        sorted_kinds = {metric.of for metric in metrics.values() if metric.levels}
        self.order = {of: np.argsort(self.rows[of][0], kind="stable") for of in sorted_kinds}
        self.drawn: dict[str, list[np.ndarray]] = {name: [] for name in metrics}

    def resample(self, draws: Draws) -> None:
        """Find all metrics with each draw."""
        means = {of: draws.means(rows) for of, rows in self.rows.items()}
        for name, metric in self.metrics.items():
            found = means[metric.of]
            if metric.levels:
                found = draws.quantiles(self.rows[metric.of][0], self.order[metric.of], metric.levels)
            self.drawn[name].append(combined(metric, found))

    def numbers(self, level: float) -> dict[str, Number]:
        """Each metric with its interval of this level; None where it is not defined."""
        return {name: self.number(name, level) for name in self.metrics}

    def value(self, name: str) -> float:
        """One metric of the jets as they are; not a number where it is not defined."""
        metric = self.metrics[name]
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
