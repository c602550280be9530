"""Scores of the network and of all baselines in all regions: metrics.json."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from topmass.evaluation.bootstrap import Bootstrap, paired_differences
from topmass.evaluation.intervals import score_intervals
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.predictions import Predictions
from topmass.evaluation.regions import BIN_VARIABLES, make_regions
from topmass.evaluation.results_file import read_results

METRICS_VERSION = 6
TITLES = {
    "network": "network",
    "trees_subjets": "GBDT, subjet features",
    "trees_image": "GBDT, image moments",
    "trees_jet": "GBDT, jet-level features",
    "softdrop_mass": "soft-drop mass",
    "jet_mass": "jet mass",
    "constant_mae": "best constant for MAE",
    "constant_mre": "best constant for MRE",
}
"""Titles of the estimators, in the order of tables and figures."""
MAIN_METRICS = ("mae", "mre", "resolution", "bias")
"""Metrics of the summary table, and of comparisons."""
STRONGEST_BASELINE = "trees_subjets"
"""Baseline with the same subjet features as the networks; if fitted, it is compared with them jet by jet."""


def score(
    jets: Predictions, others: Mapping[str, np.ndarray], min_mass: float, bins: Mapping[str, Sequence[float]],
    bootstrap: Bootstrap,
) -> dict:  # fmt: skip
    """Return metrics.json: metrics with intervals of all estimators in each region.

    The format is workflow/schemas/metrics.schema.yaml, without the entries that identify the run.

    Args:
        jets: Predictions of the network for the test jets.
        others: Predictions (N,) in GeV of other estimators by name.
        min_mass: Generated mass in GeV above which jets are scored.
        bins: Edges of "mass" and "pt" in GeV.
        bootstrap: Bootstrap settings.

    Raises:
        BadInput: If a jet is in no bin, or a bin of mass or of pT has fewer than two events.
    """
    regions = make_regions(jets, min_mass, bins)
    estimates = {"network": jets.predicted, **others, **baselines(jets, min_mass)}
    columns = {name: (jets.mass, estimates[name]) for name in TITLES if name in estimates}
    scores = bootstrap.score(METRICS, columns, [region.jets for region in regions], jets.event)
    metrics = {
        "version": METRICS_VERSION,
        "min_mass": min_mass,
        "bootstrap": asdict(bootstrap),
        "regions": [region.to_dict(BIN_VARIABLES, by_name) for region, by_name in zip(regions, scores, strict=True)],
        "intervals": score_intervals(jets, regions, bins, bootstrap),
    }
    if STRONGEST_BASELINE in estimates:
        used = regions[0].jets
        first, second = ([values[used]] for values in (estimates[STRONGEST_BASELINE], jets.predicted))
        differences = paired_differences(jets.mass[used], jets.event[used], first, second, MAIN_METRICS, bootstrap)
        metrics["differences"] = {STRONGEST_BASELINE: differences}
    return metrics


def baselines(jets: Predictions, min_mass: float) -> dict[str, np.ndarray]:
    """Return the predictions (N,) in GeV of each baseline that needs no image.

    The two constants minimise the MAE and the MRE of the test jets above `min_mass` (GeV), so no other constant does
    better. A baseline is omitted if the source of the jets does not provide it.
    """
    mass = jets.mass[jets.mass > min_mass]
    estimates = {
        "constant_mae": np.full_like(jets.mass, np.median(mass)),
        "constant_mre": np.full_like(jets.mass, weighted_median(mass, 1 / mass)),
        "jet_mass": jets.jet_mass,
        "softdrop_mass": jets.softdrop_mass,
    }
    return {name: values for name, values in estimates.items() if np.isfinite(values).all()}


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the value that minimises the weighted sum of distances to all values."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])


def read_metrics(path: Path) -> dict:
    """Load a metrics.json; BadInput if the file is not a metrics.json of this version."""
    return read_results(
        path, "metrics", METRICS_VERSION, lambda content: inclusive(content)["scores"]["network"]["mae"]
    )


def inclusive(metrics: Mapping) -> Mapping:
    """Return the region of all jets above the minimum mass."""
    return next(region for region in metrics["regions"] if region["by"] == "all")


def baselines_not_beaten(metrics: Mapping) -> str | None:
    """Return a line on the baselines whose MAE is not above the network's MAE interval; None if there are none."""
    maes = {name: scores["mae"] for name, scores in inclusive(metrics)["scores"].items()}
    network = maes.pop("network")
    lost = [f"{TITLES[name]} ({mae['value']:.2f})" for name, mae in maes.items() if mae["value"] <= network["high"]]
    if not lost:
        return None
    mae = f"{network['value']:.2f} [{network['low']:.2f}, {network['high']:.2f}]"
    return f"the network (MAE {mae} GeV) is not better than {', '.join(lost)}"
