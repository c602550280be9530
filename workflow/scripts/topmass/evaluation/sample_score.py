"""Scores of a network and of baselines on a sample that the network was not trained on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.intervals import INTERVAL_METRICS
from topmass.evaluation.metrics import MEDIAN, METRICS, Metric
from topmass.evaluation.regions import Region, bin_index, occupied_edges
from topmass.evaluation.results_file import read_results
from topmass.evaluation.sample_jets import SampleJets, effective_number
from topmass.evaluation.score import TITLES
from topmass.files import BadInput

SAMPLE_VERSION = 1
TOP_MASS = 172.5
"""Mass in GeV around which a spectrum without top quarks must have no peak."""
HALF_WINDOW = 20.0
"""Half of the width of the window around a mass, and of each adjacent window, GeV."""
MODE_FRACTION = 20
"""Percentage of the jets in the shortest interval, whose centre is the mode."""
SINGLE, MASSES, NO_TOP, NO_TRUTH = "single mass", "masses", "no top", "no truth"
TRUTH_METRICS = ("response", "resolution", "mae", "mre")
"""Metrics that require the truth; the first two are redundant for a single mass."""
COVERAGE_METRICS = ("coverage", "median_width")
SUMMARY_METRICS = {
    SINGLE: ("median", "mode", "half_width", "in_window"),
    MASSES: ("response", "resolution", "mae"),
    NO_TOP: ("median", "in_window", "sculpting"),
    NO_TRUTH: ("median", "in_window", "sculpting"),
}
"""Metrics of the log, by kind of the sample."""


def estimate(mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the estimate of the mass in GeV."""
    return predicted[None]


def in_windows(reference: float, mass: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return 1 for estimates in a window, else 0, for the window around `reference` and the two adjacent windows."""
    edges = reference + HALF_WINDOW * np.array([-3, -1, 1, 3])
    lower, centre, upper = ((predicted >= low) & (predicted < high) for low, high in pairwise(edges))
    return np.stack([centre, lower, upper]).astype(float)


def shortest_interval(quantiles: np.ndarray) -> np.ndarray:
    """Return the centre of the shortest interval with `MODE_FRACTION` of the jets, from all percentiles (99, …)."""
    widths = quantiles[MODE_FRACTION:] - quantiles[:-MODE_FRACTION]
    first = widths.argmin(axis=0)[None]
    low, high = (np.take_along_axis(ends, first, axis=0) for ends in (quantiles, quantiles[MODE_FRACTION:]))
    return (low + high)[0] / 2


def distribution_metrics(reference: float) -> dict[str, Metric]:
    """Return the metrics of the distribution of the estimates; `reference` is the mass of the window in GeV."""
    windows = partial(in_windows, reference)
    return {
        "q16": Metric("16 % quantile of the estimates", "GeV", estimate, (0.16,)),
        "median": Metric("median of the estimates", "GeV", estimate, MEDIAN),
        "q84": Metric("84 % quantile of the estimates", "GeV", estimate, (0.84,)),
        "mode": Metric(
            f"centre of the shortest interval with {MODE_FRACTION} % of the jets", "GeV", estimate,
            tuple(np.arange(1, 100) / 100), shortest_interval,
        ),
        "half_width": Metric(
            "half of the width from the 16 % to the 84 % quantile", "GeV", estimate, (0.16, 0.84),
            lambda ends: (ends[1] - ends[0]) / 2,
        ),
        "in_window": Metric(f"jets within {HALF_WINDOW:g} GeV of {reference:g} GeV", "%", windows),
        "sculpting": Metric(
            f"jets within {HALF_WINDOW:g} GeV of {reference:g} GeV / mean of the two adjacent windows", "", windows, (),
            lambda means: means[0] / ((means[1] + means[2]) / 2),
        ),
    }  # fmt: skip


SAMPLE_METRICS = distribution_metrics(TOP_MASS)
"""Metrics of distributions by their names."""


def kind_of_sample(jets: SampleJets, process: str | None, mass: float | None) -> str:
    """Return the kind of a sample, which decides on its metrics.

    Args:
        jets: The jets.
        process: Simulated process; None for a sample from files.
        mass: Single mass of the simulated top quarks in GeV; None for other samples.
    """
    if mass is not None:
        return SINGLE
    if process == "qcd":
        return NO_TOP
    return NO_TRUTH if jets.mass is None else MASSES


def score_sample(
    jets: SampleJets, process: str | None, mass: float | None, min_mass: float, bins: Mapping[str, Sequence[float]],
    bootstrap: Bootstrap,
) -> dict:  # fmt: skip
    """Return the scores of all estimators in all regions.

    The format is workflow/schemas/sample.schema.yaml, without the entries that identify run and sample.

    Args:
        jets: Jets with their estimates.
        process: Simulated process, as in `kind_of_sample`.
        mass: Single mass, as in `kind_of_sample`.
        min_mass: Generated mass in GeV above which jets of a sample of many masses are scored.
        bins: Edges of "mass" and "pt" in GeV.
        bootstrap: Bootstrap settings.

    Raises:
        BadInput: If there are fewer than two events.
    """
    kind, truth = kind_of_sample(jets, process, mass), jets.mass is not None
    used = np.flatnonzero(jets.mass > min_mass) if kind == MASSES else np.arange(len(jets.pt))
    if len(np.unique(jets.event[used])) < 2:
        raise BadInput(f"fewer than two events with jets to evaluate; expected more (minimum mass: {min_mass:g} GeV)")
    regions = list(sample_regions(jets, used, bins, kind))
    rows = [region.jets for region in regions]
    distribution = distribution_metrics(TOP_MASS if mass is None else mass)
    if kind == SINGLE:
        distribution.pop("sculpting")
    metrics = {} if kind == MASSES else distribution
    if truth:
        metrics |= {name: METRICS[name] for name in TRUTH_METRICS[2 if kind == SINGLE else 0 :]}
    masses = jets.mass if truth else np.full(len(jets.pt), np.nan)
    columns = {name: (masses, values) for name, values in jets.estimates.items()}
    scores = bootstrap.score(metrics, columns, rows, jets.event, jets.weight)
    if truth and jets.intervals:
        coverage_metrics = {name: INTERVAL_METRICS[name] for name in COVERAGE_METRICS}
        columns = {"network": (*columns["network"], jets.intervals.low, jets.intervals.high)}
        coverage = bootstrap.score(coverage_metrics, columns, rows, jets.event, jets.weight)
        for by_name, of_network in zip(scores, coverage, strict=True):
            by_name["network"] = {**by_name["network"], **of_network["network"]}
    return {
        "version": SAMPLE_VERSION,
        "kind": kind,
        "mass": mass,
        "level": jets.intervals.level if truth and jets.intervals else None,
        "bootstrap": asdict(bootstrap),
        "regions": [
            region.to_dict(("mass", "pt"), by_name) | {"effective_jets": effective_number(jets.weights(region.jets))}
            for region, by_name in zip(regions, scores, strict=True)
        ],
    }


def sample_regions(
    jets: SampleJets, used: np.ndarray, bins: Mapping[str, Sequence[float]], kind: str
) -> Iterator[Region]:  # fmt: skip
    """Yield all jets, their bins of pT and, for a sample of many masses, bins of mass and of both.

    Args:
        jets: The jets.
        used: Indices of the jets to divide.
        bins: Edges of "mass" and "pt" in GeV, which are clipped to the range of the jets.
        kind: Kind of the sample.
    """
    yield Region("all", used)
    values = {"pt": jets.pt[used]} | ({"mass": jets.mass[used]} if kind == MASSES else {})
    edges = {name: clip_edges(name, values[name], bins[name]) for name in values}
    index = {name: bin_index(name, values[name], edges[name]) for name in values}
    for name in values:
        for i, span in enumerate(pairwise(edges[name])):
            yield Region(name, used[index[name] == i], **{name: span})
    if kind == MASSES:
        for i, mass_span in enumerate(pairwise(edges["mass"])):
            for k, pt_span in enumerate(pairwise(edges["pt"])):
                yield Region("mass and pt", used[(index["mass"] == i) & (index["pt"] == k)], mass_span, pt_span)


def clip_edges(name: str, values: np.ndarray, edges: Sequence[float]) -> list[float]:
    """Return the edges of the bins that have values (N,).

    The outermost bins of mass end with the values, rounded to GeV. Bins of pT stay as they are, since the last of them
    has no upper end; a bin is added below the first edge if necessary.
    """
    low, high = int(np.floor(values.min())), int(np.ceil(values.max()))
    if name == "mass":
        high = max(high, low + 1)
        return [low, *(edge for edge in edges if low < edge < high), high]
    return [*([low] if low < edges[0] else []), *occupied_edges(edges, values)]


def describe_sample(scores: Mapping) -> str:
    """Return a sentence part on the number of jets, on their weights, and on missing truth."""
    region = scores["regions"][0]
    text = f"{region['jets']:,} jets"
    if round(region["effective_jets"]) != region["jets"]:
        text += f", whose weights leave an effective number of {region['effective_jets']:,.0f} jets"
    if "mae" not in region["scores"]["network"]:
        text += "; no MAE, response and coverage, because no jet has a generated mass"
    return text


def sample_summary(scores: Mapping) -> Iterator[str]:
    """Yield a line on the sample, and a line for each estimator with its main metrics for all jets."""
    yield f"{scores['sample']}, {scores['kind']}: {describe_sample(scores)}"
    for estimator, by_metric in scores["regions"][0]["scores"].items():
        cells = []
        for name in SUMMARY_METRICS[scores["kind"]]:
            metric = (SAMPLE_METRICS | METRICS)[name]
            if score := by_metric[name]:
                value, low, high = (score[end] * metric.factor for end in ("value", "low", "high"))
                cells.append(f"{name} {value:.4g} [{low:.4g}, {high:.4g}] {metric.unit}".rstrip())
        yield f"{TITLES[estimator]}: {', '.join(cells)}"


def read_sample_scores(path: Path) -> dict:
    """Load the scores of a sample; BadInput if the file has another form or version."""
    return read_results(
        path, "scores of a sample", SAMPLE_VERSION, lambda content: content["regions"][0]["scores"]["network"]
    )
