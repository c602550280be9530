"""How often the mass lies in a network's intervals, how wide they are, and whether wide ones belong to large errors."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from topmass.scoring.bootstrap import Bootstrap
from topmass.scoring.metrics import HALF, Metric, absolute
from topmass.scoring.predictions import Predictions
from topmass.scoring.regions import INTERVAL_SPANS, Region, bin_of, by_eta, equal_parts

WIDTHS = 8
"""Bins of the half width, of equally many jets each."""
ENOUGH = 200
"""Jets of a bin of which the coverage says something: of 68 %, a standard deviation is 3.3 points then."""
CELLS = {"mass and pt": "generated mass × pT", "predicted and pt": "predicted mass × pT"}
"""What bins are by, of which the one with the worst coverage is told."""


def covered(mass: np.ndarray, predicted: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether the mass lies in the interval."""
    return ((mass >= low) & (mass <= high)).astype(float)[None]


def width(mass: np.ndarray, predicted: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """From end to end, GeV."""
    return (high - low)[None]


def absolute_error(mass: np.ndarray, predicted: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """|predicted − generated|, GeV."""
    return absolute(mass, predicted)


METRICS = {
    "coverage": Metric("jets whose mass lies in the interval", "%", covered),
    "mean_width": Metric("mean width of the intervals", "GeV", width),
    "median_width": Metric("median width of the intervals", "GeV", width, HALF),
    "median_error": Metric("median absolute error", "GeV", absolute_error, HALF),
}
"""By the names that the intervals of `metrics.json` have them by."""


def score_intervals(
    jets: Predictions, divided: Sequence[Region], bins: Mapping[str, Sequence[float]], bootstrap: Bootstrap
) -> dict | None:
    """Coverage and widths in each region, as workflow/schemas/metrics.schema.yaml has them; None without intervals.

    To the regions that the jets were `divided` into come those that only intervals are scored in.
    """
    if not jets.intervals:
        return None
    regions = [*divided, *more_regions(jets, divided[0].jets, bins)]
    columns = {"network": (jets.mass, jets.predicted, jets.intervals.low, jets.intervals.high)}
    scores = bootstrap.score(METRICS, columns, [region.jets for region in regions], jets.event)
    return {
        "quantiles": list(jets.intervals.quantiles),
        "level": jets.intervals.level,
        "regions": [
            {"by": region.by, **{name: getattr(region, name) for name in INTERVAL_SPANS}, "jets": len(region.jets)}
            | {"scores": found}
            for region, found in zip(regions, scores, strict=True)
        ],
    }


def more_regions(jets: Predictions, used: np.ndarray, bins: Mapping[str, Sequence[float]]) -> Iterator[Region]:
    """Of the jets with these indices: by predicted mass, alone and with pT, by |η|, by half the width of the interval.

    What is predicted beyond the bins of mass belongs to the outermost.
    """
    inside = np.clip(jets.predicted[used], bins["mass"][0], bins["mass"][-1])
    of_mass, of_pt = bin_of("mass", inside, bins["mass"]), bin_of("pt", jets.pt[used], bins["pt"])
    for i, span in enumerate(pairwise(bins["mass"])):
        yield Region("predicted", used[of_mass == i], predicted=span)
        for k, pt_span in enumerate(pairwise(bins["pt"])):
            yield Region("predicted and pt", used[(of_mass == i) & (of_pt == k)], pt=pt_span, predicted=span)
    yield from by_eta(jets, used)
    half_width = (jets.intervals.high - jets.intervals.low) / 2
    for span, here in equal_parts(half_width, used, WIDTHS):
        yield Region("half_width", here, half_width=span)


def farthest(intervals: Mapping, by: str) -> Mapping | None:
    """The region by this, of jets enough, whose coverage is the farthest from the level; None if none has enough."""
    cells = [each for each in intervals["regions"] if each["by"] == by and each["jets"] >= ENOUGH]
    known = [cell for cell in cells if coverage_of(cell)]
    return max(known, key=lambda cell: abs(coverage_of(cell)["value"] - intervals["level"]), default=None)


def coverage_of(region: Mapping) -> Mapping | None:
    """Of the network's intervals in a region."""
    return region["scores"]["network"]["coverage"]


def told(intervals: Mapping) -> str:
    """A line on all jets, and on the bins with the worst coverage."""
    scores, level = intervals["regions"][0]["scores"]["network"], intervals["level"]
    coverage, mean, median = (scores[name] for name in ("coverage", "mean_width", "median_width"))
    ends = f"{coverage['value']:.1%} [{coverage['low']:.1%}, {coverage['high']:.1%}]"
    widths = f"their width is {mean['value']:.1f} GeV in the mean, {median['value']:.1f} in the median"
    cells = {name: cell for by, name in CELLS.items() if (cell := farthest(intervals, by))}
    worst = [f"{coverage_of(cell)['value']:.1%} by {name}" for name, cell in cells.items()]
    line = f"{level:.0%} intervals: they hold {ends} of the masses; {widths}"
    return f"{line}; at worst of bins with {ENOUGH} jets {', '.join(worst)}" if worst else line
