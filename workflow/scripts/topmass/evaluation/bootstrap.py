"""Bootstrap intervals of metrics, resampled by event."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from topmass.evaluation.metrics import Metric

RESAMPLES_PER_CHUNK = 50_000_000
"""Jet weights in memory at a time, one byte each; limits the number of draws per chunk."""
IntervalDict = dict[str, float] | None
"""A `value` and its interval from `low` to `high`; None if the metric is undefined."""


@dataclass(frozen=True)
class Bootstrap:
    """Settings of the bootstrap: number of resamples, level of the percentile intervals, random seed."""

    resamples: int
    level: float
    seed: int

    def draws(self, event: np.ndarray) -> Iterator[np.ndarray]:
        """Yield jet weights (N, draws), uint8, for consecutive chunks of the resamples.

        All jets of an event have the same weight, a Poisson number with mean one. The draws depend only on the events
        and the seed. All estimators of the same jets are thus resampled alike and can be compared.

        Args:
            event: Event number of each jet, (N,).
        """
        known, group = np.unique(event, return_inverse=True)
        rng = np.random.default_rng(self.seed)
        piece = max(1, RESAMPLES_PER_CHUNK // len(event))
        for first in range(0, self.resamples, piece):
            drawn = rng.poisson(1, (min(piece, self.resamples - first), len(known))).astype(np.uint8)
            yield np.ascontiguousarray(drawn.T)[group]

    def score(
        self, metrics: Mapping[str, Metric], columns: Mapping[str, Sequence[np.ndarray]],
        regions: Sequence[np.ndarray], event: np.ndarray,
    ) -> list[dict[str, dict[str, IntervalDict]]]:  # fmt: skip
        """Return all metrics with intervals for each region, by estimator and metric.

        Args:
            metrics: Metrics by name.
            columns: Arguments (N,) of `Metric.of` for each estimator.
            regions: Indices of the jets of each region. A region with fewer than two events has only None.
            event: Event number of each jet, (N,).
        """
        measured = [
            {name: BootstrapEstimator(metrics, *(column[region] for column in each)) for name, each in columns.items()}
            if len(np.unique(event[region])) > 1 else {}
            for region in regions
        ]  # fmt: skip
        for weights in self.draws(event):
            for region, estimators in zip(regions, measured, strict=True):
                if estimators:
                    draws = Resamples(weights[region])
                    for each in estimators.values():
                        each.resample(draws)
        nothing = dict.fromkeys(metrics)
        return [
            {name: estimators[name].numbers(self.level) if estimators else nothing for name in columns}
            for estimators in measured
        ]


class Resamples:
    """Weights (N, draws) of a set of jets, with the sums that all estimators share."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights
        self.real = weights.astype(np.float64)
        self.total = self.real.sum(axis=0)

    def means(self, rows: np.ndarray) -> np.ndarray:
        """Return the weighted means (K, draws) of rows (K, N); NaN where a draw has no jet."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return rows @ self.real / self.total

    def quantiles(self, values: np.ndarray, order: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return weighted quantiles (levels, draws); NaN where a draw has no jet.

        A quantile is the first value whose cumulative weight reaches the level's fraction of the total weight. Sums
        over blocks of about √N weights locate its block, so that only the weights of this block are summed one by one.

        Args:
            values: Values (N,).
            order: Indices (N,) that sort `values`.
            levels: Quantile levels.
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


class BootstrapEstimator:
    """Metrics of one estimator on a set of jets, with their values in each resample so far."""

    def __init__(self, metrics: Mapping[str, Metric], *columns: np.ndarray) -> None:
        numbers = [column.astype(np.float64) for column in columns]
        self.metrics = metrics
        self.rows = {of: of(*numbers) for of in {metric.of for metric in metrics.values()}}
        sorted_kinds = {metric.of for metric in metrics.values() if metric.levels}
        self.order = {of: np.argsort(self.rows[of][0], kind="stable") for of in sorted_kinds}
        self.drawn: dict[str, list[np.ndarray]] = {name: [] for name in metrics}

    def resample(self, draws: Resamples) -> None:
        """Compute all metrics for each draw."""
        means = {of: draws.means(rows) for of, rows in self.rows.items()}
        for name, metric in self.metrics.items():
            found = means[metric.of]
            if metric.levels:
                found = draws.quantiles(self.rows[metric.of][0], self.order[metric.of], metric.levels)
            self.drawn[name].append(combined(metric, found))

    def numbers(self, level: float) -> dict[str, IntervalDict]:
        """Return each metric with its interval of this level; None where undefined."""
        return {name: self.number(name, level) for name in self.metrics}

    def value(self, name: str) -> float:
        """Return one metric of the original sample; NaN where undefined."""
        metric = self.metrics[name]
        rows = self.rows[metric.of]
        return float(combined(metric, np.quantile(rows[0], metric.levels) if metric.levels else rows.mean(axis=1)))

    def number(self, name: str, level: float) -> IntervalDict:
        """Return one metric with its interval of this level; None where undefined."""
        value, sample = self.value(name), np.concatenate(self.drawn[name])
        # A draw may contain no event of a small region; such draws are ignored.
        sample = sample[np.isfinite(sample)]
        if not np.isfinite(value) or not len(sample):
            return None
        low, high = np.quantile(sample, [(1 - level) / 2, (1 + level) / 2])
        return {"value": value, "low": float(low), "high": float(high)}


def combined(metric: Metric, found: np.ndarray) -> np.ndarray:
    """Return a metric computed from its means or quantiles; NaN where undefined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return metric.combine(found)
