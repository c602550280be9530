"""Coverage and width of predicted intervals, and their relation to the error."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.metrics import MEDIAN, Metric, absolute
from topmass.evaluation.predictions import Predictions
from topmass.evaluation.regions import INTERVAL_BIN_VARIABLES, Region, bin_index, equal_parts, eta_regions

N_WIDTH_BINS = 8
"""Number of bins in the half width, with equal numbers of jets."""
MIN_JETS_PER_BIN = 200
"""Fewest jets of a bin whose coverage is quoted; its standard deviation is then 3.3 points at 68 %."""
CELLS = {"mass and pt": "generated mass × pT", "predicted and pt": "predicted mass × pT"}
"""Binnings, with titles, whose bin with the worst coverage is reported."""


# Metric functions take all columns, also those that they do not use, and return values of shape (1, N).


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
    "median_width": Metric("median width of the intervals", "GeV", width, MEDIAN),
    "median_error": Metric("median absolute error", "GeV", absolute_error, MEDIAN),
}
"""Interval metrics by their names in `metrics.json`."""


def score_intervals(
    jets: Predictions, regions: Sequence[Region], bins: Mapping[str, Sequence[float]], bootstrap: Bootstrap
) -> dict | None:
    """Return coverage and widths in each region; None if the network predicts no intervals.

    The format is the entry `intervals` of workflow/schemas/metrics.schema.yaml.

    Args:
        jets: Test jets.
        regions: Regions from `make_regions`, the first of which has all jets; those from `interval_regions` are added.
        bins: Edges of "mass" and "pt" in GeV.
        bootstrap: Bootstrap settings.
    """
    if not jets.intervals:
        return None
    regions = [*regions, *interval_regions(jets, regions[0].jets, bins)]
    columns = {"network": (jets.mass, jets.predicted, jets.intervals.low, jets.intervals.high)}
    scores = bootstrap.score(INTERVAL_METRICS, columns, [region.jets for region in regions], jets.event)
    return {
        "quantiles": list(jets.intervals.quantiles),
        "level": jets.intervals.level,
        "regions": [
            region.to_dict(INTERVAL_BIN_VARIABLES, by_name) for region, by_name in zip(regions, scores, strict=True)
        ],
    }


def interval_regions(jets: Predictions, rows: np.ndarray, bins: Mapping[str, Sequence[float]]) -> Iterator[Region]:
    """Yield the regions that only intervals are scored in.

    These are bins of predicted mass, predicted mass × pT, |η|, and half width of the interval. A predicted mass outside
    all bins is assigned to the outermost one.

    Args:
        jets: Test jets with intervals.
        rows: Indices of the jets to divide.
        bins: Edges of "mass" and "pt" in GeV.
    """
    clipped_mass = np.clip(jets.predicted[rows], bins["mass"][0], bins["mass"][-1])
    mass_index, pt_index = bin_index("mass", clipped_mass, bins["mass"]), bin_index("pt", jets.pt[rows], bins["pt"])
    for i, span in enumerate(pairwise(bins["mass"])):
        yield Region("predicted", rows[mass_index == i], predicted=span)
        for k, pt_span in enumerate(pairwise(bins["pt"])):
            yield Region("predicted and pt", rows[(mass_index == i) & (pt_index == k)], pt=pt_span, predicted=span)
    yield from eta_regions(jets, rows)
    half_width = (jets.intervals.high - jets.intervals.low) / 2
    for span, chosen in equal_parts(half_width, rows, N_WIDTH_BINS):
        yield Region("half_width", chosen, half_width=span)


def worst_coverage_bin(intervals: Mapping, by: str) -> Mapping | None:
    """Return the region of a binning (key of `CELLS`) whose coverage differs most from the nominal level.

    Regions with fewer than `MIN_JETS_PER_BIN` jets are ignored. The result is None if none remains.
    """
    cells = [
        region
        for region in intervals["regions"]
        if region["by"] == by and region["jets"] >= MIN_JETS_PER_BIN and coverage(region)
    ]
    return max(cells, key=lambda cell: abs(coverage(cell)["value"] - intervals["level"]), default=None)


def coverage(region: Mapping) -> Mapping | None:
    """Return the coverage of the network's intervals in a region."""
    return region["scores"]["network"]["coverage"]


def interval_summary_line(intervals: Mapping) -> str:
    """Return a line on coverage and width for all jets, and on the bins with the worst coverage."""
    scores = intervals["regions"][0]["scores"]["network"]
    value, low, high = (scores["coverage"][end] for end in ("value", "low", "high"))
    mean, median = (scores[name]["value"] for name in ("mean_width", "median_width"))
    line = f"{intervals['level']:.0%} intervals: coverage {value:.1%} [{low:.1%}, {high:.1%}]"
    line += f"; width mean {mean:.1f}, median {median:.1f} GeV"
    cells = {title: cell for by, title in CELLS.items() if (cell := worst_coverage_bin(intervals, by))}
    worst = ", ".join(f"{coverage(cell)['value']:.1%} ({title})" for title, cell in cells.items())
    return f"{line}; worst coverage in bins with ≥ {MIN_JETS_PER_BIN} jets: {worst}" if worst else line
