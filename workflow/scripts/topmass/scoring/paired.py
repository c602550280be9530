"""Paired differences: two estimators on the very same jets, which share what is hard about these."""

from collections.abc import Sequence

import numpy as np

from topmass.scoring.bootstrap import Bootstrap, Draws, Measured
from topmass.scoring.metrics import METRICS


def paired_differences(
    mass: np.ndarray, event: np.ndarray, first: Sequence[np.ndarray], second: Sequence[np.ndarray],
    names: Sequence[str], bootstrap: Bootstrap,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Metrics of these names of `second` less those of `first`, means over seeds, with their intervals.

    Both are predictions (N,) GeV, one for each seed, for jets of these masses and events (N,). All are resampled with
    the same draws of events; seeds are resampled too.
    """
    measured = [[Measured(METRICS, mass, predicted) for predicted in seeds] for seeds in (first, second)]
    for weights in bootstrap.draws(event):
        draws = Draws(weights)
        for each in (*measured[0], *measured[1]):
            each.resample(draws)
    rng = np.random.default_rng(bootstrap.seed)
    draw = np.arange(bootstrap.resamples)
    picks = [rng.integers(len(seeds), size=(len(seeds), bootstrap.resamples)) for seeds in measured]
    ends, found = [(1 - bootstrap.level) / 2, (1 + bootstrap.level) / 2], {}
    for name in names:
        values = [np.mean([each.value(name) for each in seeds]) for seeds in measured]
        sampled = [np.stack([np.concatenate(each.drawn[name]) for each in seeds]) for seeds in measured]
        of_seeds = [sample[pick, draw].mean(axis=0) for sample, pick in zip(sampled, picks, strict=True)]
        low, high = np.nanquantile(of_seeds[1] - of_seeds[0], ends)
        found[name] = {"value": float(values[1] - values[0]), "low": float(low), "high": float(high)}
    return found
