"""Bootstrap intervals of metrics and of paired differences, resampled by event."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from topmass.evaluation.metrics import METRICS, Metric

WEIGHTS_PER_CHUNK = 50_000_000
"""Number of jet weights in memory at a time, one byte each; limits the number of resamples per chunk."""
IntervalDict = dict[str, float] | None
"""A `value` and its interval from `low` to `high`; None if the metric is undefined."""


@dataclass(frozen=True)
class Bootstrap:
    """Settings of the bootstrap: number of resamples, level of the percentile intervals, random seed."""

    resamples: int
    level: float
    seed: int

    @property
    def ends(self) -> tuple[float, float]:
        """Quantile levels of the ends of an interval."""
        return (1 - self.level) / 2, (1 + self.level) / 2

    def draws(self, event: np.ndarray, chunks: int = 1) -> Iterator[np.ndarray]:
        """Yield jet weights (N, resamples), uint8, for consecutive chunks of the resamples.

        All jets of an event have the same weight, a Poisson number with mean one. The draws depend only on the events
        and the seed. All estimators of the same jets are thus resampled alike and can be compared.

        Args:
            event: Event number of each jet, (N,).
            chunks: Divides the memory, and multiplies the number of chunks.
        """
        events, group = np.unique(event, return_inverse=True)
        rng = np.random.default_rng(self.seed)
        chunk = max(1, WEIGHTS_PER_CHUNK // (chunks * len(event)))
        for first in range(0, self.resamples, chunk):
            weights = rng.poisson(1, (min(chunk, self.resamples - first), len(events))).astype(np.uint8)
            yield np.ascontiguousarray(weights.T)[group]

    def score(
        self, metrics: Mapping[str, Metric], columns: Mapping[str, Sequence[np.ndarray]],
        regions: Sequence[np.ndarray], event: np.ndarray, weight: np.ndarray | None = None,
    ) -> list[dict[str, dict[str, IntervalDict]]]:  # fmt: skip
        """Return all metrics with intervals for each region, by estimator and metric.

        Args:
            metrics: Metrics by name.
            columns: Arguments (N,) of `Metric.per_jet` for each estimator.
            regions: Indices of the jets of each region. A region with fewer than two events has only None.
            event: Event number of each jet, (N,).
            weight: Weight of each jet, (N,); None if all weights are 1.
        """
        weights = [None if weight is None else weight[jets] for jets in regions]
        estimators = [
            {name: BootstrapEstimator(metrics, *(values[jets] for values in columns[name]), weight=region_weight)
             for name in columns}
            if len(np.unique(event[jets])) > 1 else {}
            for jets, region_weight in zip(regions, weights, strict=True)
        ]  # fmt: skip
        # Quantiles with weights take eight times the memory of those without.
        for counts in self.draws(event, chunks=1 if weight is None else 4):
            for jets, region_weight, by_name in zip(regions, weights, estimators, strict=True):
                if by_name:
                    draws = Resamples(counts[jets], region_weight)
                    for estimator in by_name.values():
                        estimator.resample(draws)
        undefined = dict.fromkeys(metrics)
        return [
            {name: by_name[name].scores(self.ends) if by_name else undefined for name in columns}
            for by_name in estimators
        ]


class Resamples:
    """Weights (N, draws) of a set of jets, with the sums that all estimators share.

    Args:
        counts: Bootstrap weights (N, draws), uint8.
        weight: Weight of each jet, (N,), a factor of its bootstrap weights; None if all weights are 1.
    """

    def __init__(self, counts: np.ndarray, weight: np.ndarray | None = None) -> None:
        self.real = counts.astype(np.float64)
        if weight is not None:
            self.real *= weight[:, None]
        # Integers, if possible: they take an eighth of the memory, and their sums are exact.
        self.weights, self.sum_type = (counts, np.int32) if weight is None else (self.real, np.float64)
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
        weights = np.zeros((blocks * size, len(self.total)), self.weights.dtype)
        np.take(self.weights, order, axis=0, out=weights[: len(order)])
        ends = weights.reshape(blocks, size, -1).sum(axis=1, dtype=self.sum_type).cumsum(axis=0)
        quantiles = np.full((len(levels), len(self.total)), np.nan)
        drawn = np.flatnonzero(self.total)
        for row, level in zip(quantiles, levels, strict=True):
            target = level * self.total[drawn]
            block = (ends[:, drawn] < target).sum(axis=0)
            before = np.where(block, ends[block - 1, drawn], 0)
            within = weights[block * size + np.arange(size)[:, None], drawn].cumsum(axis=0, dtype=self.sum_type)
            row[drawn] = values[order[block * size + (before + within < target).sum(axis=0)]]
        return quantiles


class BootstrapEstimator:
    """Metrics of one estimator on a set of jets, with their values in each resample so far.

    Args:
        metrics: Metrics by name.
        *columns: Arguments (N,) of `Metric.per_jet`.
        weight: Weight of each jet, (N,); None if all weights are 1.
    """

    def __init__(
        self, metrics: Mapping[str, Metric], *columns: np.ndarray, weight: np.ndarray | None = None
    ) -> None:  # fmt: skip
        columns = [column.astype(np.float64) for column in columns]
        self.metrics, self.weight = metrics, weight
        self.rows = {per_jet: per_jet(*columns) for per_jet in {metric.per_jet for metric in metrics.values()}}
        sorted_kinds = {metric.per_jet for metric in metrics.values() if metric.levels}
        self.order = {per_jet: np.argsort(self.rows[per_jet][0], kind="stable") for per_jet in sorted_kinds}
        self.chunks: dict[str, list[np.ndarray]] = {name: [] for name in metrics}

    def resample(self, draws: Resamples) -> None:
        """Compute all metrics for each draw."""
        means = {per_jet: draws.means(rows) for per_jet, rows in self.rows.items()}
        for name, metric in self.metrics.items():
            statistics = means[metric.per_jet]
            if metric.levels:
                statistics = draws.quantiles(self.rows[metric.per_jet][0], self.order[metric.per_jet], metric.levels)
            self.chunks[name].append(combine(metric, statistics))

    def sample(self, name: str) -> np.ndarray:
        """Return the values (draws,) of one metric in all resamples."""
        return np.concatenate(self.chunks[name])

    def value(self, name: str) -> float:
        """Return one metric of the original sample; NaN where undefined."""
        metric = self.metrics[name]
        rows = self.rows[metric.per_jet]
        if self.weight is not None and not self.weight.any():
            return np.nan
        if not metric.levels:
            return float(combine(metric, np.average(rows, axis=1, weights=self.weight)))
        # NumPy has weighted quantiles without interpolation only.
        method = "linear" if self.weight is None else "inverted_cdf"
        return float(combine(metric, np.quantile(rows[0], metric.levels, weights=self.weight, method=method)))

    def scores(self, ends: tuple[float, float]) -> dict[str, IntervalDict]:
        """Return each metric with its interval between these quantile levels; None where undefined."""
        scores = {}
        for name in self.metrics:
            value, sample = self.value(name), self.sample(name)
            # A draw may contain no event of a small region; such draws are ignored.
            sample = sample[np.isfinite(sample)]
            defined = np.isfinite(value) and len(sample)
            scores[name] = interval_dict(value, np.quantile(sample, ends)) if defined else None
        return scores


def paired_differences(
    mass: np.ndarray, event: np.ndarray, first: Sequence[np.ndarray], second: Sequence[np.ndarray],
    names: Sequence[str], bootstrap: Bootstrap,
) -> dict[str, IntervalDict]:  # fmt: skip
    """Return the metrics of `second` minus those of `first`, averaged over seeds, with intervals.

    All predictions are resampled with the same draws of events, so that common fluctuations cancel. Seeds are
    resampled, too.

    Args:
        mass: Generated mass (N,) in GeV.
        event: Event number of each jet, (N,).
        first: Predictions (N,) in GeV for each seed.
        second: Predictions (N,) in GeV for each seed.
        names: Metrics to compare, keys of `METRICS`.
        bootstrap: Bootstrap settings.
    """
    sides = [[BootstrapEstimator(METRICS, mass, predicted) for predicted in seeds] for seeds in (first, second)]
    for weights in bootstrap.draws(event):
        draws = Resamples(weights)
        for estimator in (*sides[0], *sides[1]):
            estimator.resample(draws)
    rng = np.random.default_rng(bootstrap.seed)
    draw = np.arange(bootstrap.resamples)
    picks = [rng.integers(len(seeds), size=(len(seeds), bootstrap.resamples)) for seeds in sides]
    differences = {}
    for name in names:
        values = [np.mean([estimator.value(name) for estimator in seeds]) for seeds in sides]
        samples = [
            np.stack([estimator.sample(name) for estimator in seeds])[pick, draw].mean(axis=0)
            for seeds, pick in zip(sides, picks, strict=True)
        ]
        ends = np.nanquantile(samples[1] - samples[0], bootstrap.ends)
        differences[name] = interval_dict(values[1] - values[0], ends)
    return differences


def combine(metric: Metric, statistics: np.ndarray) -> np.ndarray:
    """Return a metric computed from its means or quantiles; NaN where undefined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return metric.combine(statistics)


def interval_dict(value: float, ends: Sequence[float]) -> dict[str, float]:
    """Return a value and its interval, as in `metrics.json`."""
    low, high = map(float, ends)
    return {"value": float(value), "low": low, "high": high}
