"""Coverage and width of predicted intervals, and their relation to the error."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.metrics import HALF, Metric, absolute
from topmass.evaluation.predictions import Predictions
from topmass.evaluation.regions import INTERVAL_BIN_VARIABLES, Region, bin_of, equal_parts, eta_regions

WIDTHS = 8
"""Number of bins in the half width, with equal numbers of jets."""
MIN_JETS_PER_BIN = 200
"""Fewest jets of a bin whose coverage is quoted; its standard deviation is then 3.3 points at 68 %."""
CELLS = {"mass and pt": "generated mass × pT", "predicted and pt": "predicted mass × pT"}
"""Binnings, with titles, whose bin with the worst coverage is reported."""


def covered(mass: np.ndarray, predicted: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return 1 where the mass lies in the interval, else 0."""
    return ((mass >= low) & (mass <= high)).astype(float)[None]


def width(mass: np.ndarray, predicted: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the width of the interval in GeV."""
    return (high - low)[None]


def absolute_error(mass: np.ndarray, predicted: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return |predicted − generated| in GeV."""
    return absolute(mass, predicted)


INTERVAL_METRICS = {
    "coverage": Metric("jets whose mass lies in the interval", "%", covered),
    "mean_width": Metric("mean width of the intervals", "GeV", width),
    "median_width": Metric("median width of the intervals", "GeV", width, HALF),
    "median_error": Metric("median absolute error", "GeV", absolute_error, HALF),
}
"""Interval metrics by their names in `metrics.json`."""


def score_intervals(
    jets: Predictions, divided: Sequence[Region], bins: Mapping[str, Sequence[float]], bootstrap: Bootstrap
) -> dict | None:
    """Return coverage and widths in each region; None if the network predicts no intervals.

    The format is the entry `intervals` of workflow/schemas/metrics.schema.yaml.

    Args:
        jets: Test jets.
        divided: Regions from `make_regions`; those from `more_regions` are added.
        bins: Edges of "mass" and "pt" in GeV.
        bootstrap: Bootstrap settings.
    """
    if not jets.intervals:
        return None
    regions = [*divided, *more_regions(jets, divided[0].jets, bins)]
    columns = {"network": (jets.mass, jets.predicted, jets.intervals.low, jets.intervals.high)}
    scores = bootstrap.score(INTERVAL_METRICS, columns, [region.jets for region in regions], jets.event)
    return {
        "quantiles": list(jets.intervals.quantiles),
        "level": jets.intervals.level,
        "regions": [
            {
                "by": region.by,
                **{name: getattr(region, name) for name in INTERVAL_BIN_VARIABLES},
                "jets": len(region.jets),
            }
            | {"scores": found}
            for region, found in zip(regions, scores, strict=True)
        ],
    }


def more_regions(jets: Predictions, used: np.ndarray, bins: Mapping[str, Sequence[float]]) -> Iterator[Region]:
    """Yield the regions that only intervals are scored in.

    These are bins of predicted mass, predicted mass × pT, |η|, and half width of the interval. A predicted mass outside
    all bins is assigned to the outermost one.

    Args:
        jets: Test jets with intervals.
        used: Indices of the jets to divide.
        bins: Edges of "mass" and "pt" in GeV.
    """
    inside = np.clip(jets.predicted[used], bins["mass"][0], bins["mass"][-1])
    of_mass, of_pt = bin_of("mass", inside, bins["mass"]), bin_of("pt", jets.pt[used], bins["pt"])
    for i, span in enumerate(pairwise(bins["mass"])):
        yield Region("predicted", used[of_mass == i], predicted=span)
        for k, pt_span in enumerate(pairwise(bins["pt"])):
            yield Region("predicted and pt", used[(of_mass == i) & (of_pt == k)], pt=pt_span, predicted=span)
    yield from eta_regions(jets, used)
    half_width = (jets.intervals.high - jets.intervals.low) / 2
    for span, here in equal_parts(half_width, used, WIDTHS):
        yield Region("half_width", here, half_width=span)


def worst_coverage_bin(intervals: Mapping, by: str) -> Mapping | None:
    """Return the region of this binning whose coverage differs most from the nominal level.

    Regions with fewer than `MIN_JETS_PER_BIN` jets are ignored. The result is None if none remains.

    Args:
        intervals: Entry `intervals` of metrics.json.
        by: Binning, a key of `CELLS`.
    """
    cells = [each for each in intervals["regions"] if each["by"] == by and each["jets"] >= MIN_JETS_PER_BIN]
    known = [cell for cell in cells if coverage_of(cell)]
    return max(known, key=lambda cell: abs(coverage_of(cell)["value"] - intervals["level"]), default=None)


def coverage_of(region: Mapping) -> Mapping | None:
    """Return the coverage of the network's intervals in a region."""
    return region["scores"]["network"]["coverage"]


def interval_summary_line(intervals: Mapping) -> str:
    """Return a line on coverage and width for all jets, and on the bins with the worst coverage."""
    scores, level = intervals["regions"][0]["scores"]["network"], intervals["level"]
    coverage, mean, median = (scores[name] for name in ("coverage", "mean_width", "median_width"))
    ends = f"{coverage['value']:.1%} [{coverage['low']:.1%}, {coverage['high']:.1%}]"
    widths = f"width mean {mean['value']:.1f}, median {median['value']:.1f} GeV"
    cells = {name: cell for by, name in CELLS.items() if (cell := worst_coverage_bin(intervals, by))}
    worst = [f"{coverage_of(cell)['value']:.1%} ({name})" for name, cell in cells.items()]
    line = f"{level:.0%} intervals: coverage {ends}; {widths}"
    return f"{line}; worst coverage in bins with ≥ {MIN_JETS_PER_BIN} jets: {', '.join(worst)}" if worst else line
