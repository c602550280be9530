"""Paired differences between two estimators on the same jets."""

from collections.abc import Sequence

import numpy as np

from topmass.evaluation.bootstrap import Bootstrap, BootstrapEstimator, Resamples
from topmass.evaluation.metrics import METRICS


def paired_differences(
    mass: np.ndarray, event: np.ndarray, first: Sequence[np.ndarray], second: Sequence[np.ndarray],
    names: Sequence[str], bootstrap: Bootstrap,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Return the metrics of `second` minus those of `first`, averaged over seeds, with intervals.

    All predictions are resampled with the same draws of events, so that common fluctuations cancel. Seeds are
    resampled, too.

    Args:
        mass: Generated mass (N,) in GeV.
        event: Event number of each jet, (N,).
        first: Predictions (N,) in GeV for each seed.
        second: Predictions (N,) in GeV for each seed.
        names: Metrics to compare.
        bootstrap: Bootstrap settings.
    """
    measured = [[BootstrapEstimator(METRICS, mass, predicted) for predicted in seeds] for seeds in (first, second)]
    for weights in bootstrap.draws(event):
        draws = Resamples(weights)
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
