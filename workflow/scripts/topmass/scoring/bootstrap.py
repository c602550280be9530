"""Intervals of means over jets, by resampling events."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bootstrap:
    """How many times the events are resampled, the level of the percentile intervals, and the random seed."""

    resamples: int
    level: float
    seed: int

    def means(self, values: np.ndarray, regions: np.ndarray, event: np.ndarray) -> list[dict[str, float] | None]:
        """Mean of `values` (N,) over each column of `regions` (N, K), with its interval; None if it has not two events.

        The jets of one `event` (N,) are drawn together, a Poisson number of times with mean one. The draws are the
        same for all values, so that the intervals of two estimators of the same jets can be compared.
        """
        _, group = np.unique(event, return_inverse=True)
        totals, counts = (np.zeros((group.max() + 1, regions.shape[1])) for _ in range(2))
        np.add.at(totals, group, values[:, None] * regions)
        np.add.at(counts, group, regions)
        rng = np.random.default_rng(self.seed)
        drawn = np.empty((self.resamples, regions.shape[1]))
        with np.errstate(invalid="ignore"):
            for i in range(self.resamples):
                times = rng.poisson(1, len(totals)).astype(float)
                drawn[i] = (times @ totals) / (times @ counts)
            means = totals.sum(axis=0) / counts.sum(axis=0)
        enough = (counts > 0).sum(axis=0) > 1
        found = zip(means, drawn.T, enough, strict=True)
        return [self._with_interval(mean, sample) if known else None for mean, sample, known in found]

    def _with_interval(self, mean: float, sample: np.ndarray) -> dict[str, float]:
        # A resample may miss a region of few events altogether; such draws say nothing about its mean.
        low, high = np.nanquantile(sample, [(1 - self.level) / 2, (1 + self.level) / 2])
        return {"value": float(mean), "low": float(low), "high": float(high)}
