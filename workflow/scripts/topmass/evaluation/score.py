"""Metrics of the network and of all baselines in all regions, with a summary table."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path

import numpy as np

from topmass.evaluation.baselines import baselines
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.intervals import INTERVAL_METRICS as OF_INTERVALS
from topmass.evaluation.intervals import interval_summary_line, score_intervals
from topmass.evaluation.metrics import METRICS, Metric
from topmass.evaluation.paired import paired_differences
from topmass.evaluation.predictions import Predictions
from topmass.evaluation.regions import BIN_VARIABLES, INTERVAL_BIN_VARIABLES, make_regions
from topmass.files import BadInput

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
SHORT = ("mae", "mre", "resolution", "bias")
"""Metrics of the summary table."""
STRONGEST_BASELINE = "trees_subjets"
"""Baseline with the same subjet features as the networks; if fitted, it is compared with them jet by jet."""


def score(
    jets: Predictions, others: Mapping[str, np.ndarray], min_mass: float, bins: dict[str, Sequence[float]],
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
    known = {"network": jets.predicted, **others, **baselines(jets, min_mass)}
    columns = {name: (jets.mass, known[name]) for name in TITLES if name in known}
    scores = bootstrap.score(METRICS, columns, [region.jets for region in regions], jets.event)
    return {
        "version": METRICS_VERSION,
        "min_mass": min_mass,
        "bootstrap": asdict(bootstrap),
        "regions": [
            {"by": region.by, **{name: getattr(region, name) for name in BIN_VARIABLES}, "jets": len(region.jets)}
            | {"scores": found}
            for region, found in zip(regions, scores, strict=True)
        ],
        "intervals": score_intervals(jets, regions, bins, bootstrap),
        **(
            {"differences": estimator_differences(jets, known, regions[0].jets, bootstrap)}
            if STRONGEST_BASELINE in known
            else {}
        ),
    }


def estimator_differences(
    jets: Predictions, known: Mapping[str, np.ndarray], rows: np.ndarray, bootstrap: Bootstrap
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the `SHORT` metrics of the network minus those of the strongest baseline, with intervals.

    Args:
        jets: Predictions of the network.
        known: Predictions (N,) in GeV of all estimators by name.
        rows: Indices of the jets to compare.
        bootstrap: Bootstrap settings.
    """
    mass, event, network, other = (
        each[rows] for each in (jets.mass, jets.event, jets.predicted, known[STRONGEST_BASELINE])
    )
    return {STRONGEST_BASELINE: paired_differences(mass, event, [other], [network], SHORT, bootstrap)}


def read_metrics(path: Path) -> dict:
    """Load a metrics.json.

    Raises:
        BadInput: If the file is not a metrics.json of this version.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] != METRICS_VERSION:
            raise BadInput(f"{path}: metrics of version {found['version']}, this code reads {METRICS_VERSION}")
        inclusive(found)["scores"]["network"]["mae"]["value"]
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise BadInput(f"{path}: not the metrics of a network ({type(error).__name__}: {error})") from None
    return found


def inclusive(metrics: Mapping) -> Mapping:
    """Return the region of all jets above the minimum mass."""
    return next(region for region in metrics["regions"] if region["by"] == "all")


def baselines_not_beaten(metrics: Mapping) -> str | None:
    """Return a line on the baselines whose MAE is not above the network's MAE interval; None if there are none."""
    scores = {name: found["mae"] for name, found in inclusive(metrics)["scores"].items()}
    network = scores.pop("network")
    lost = [f"{TITLES[name]} ({mae['value']:.2f})" for name, mae in scores.items() if mae["value"] <= network["high"]]
    if not lost:
        return None
    mae = f"{network['value']:.2f} [{network['low']:.2f}, {network['high']:.2f}]"
    return f"the network (MAE {mae} GeV) is not better than {', '.join(lost)}"


def metric_rows(metrics: Mapping) -> Iterator[dict]:
    """Yield the values of metrics.json, one row per region, estimator and metric."""
    for region in metrics["regions"]:
        yield from rows_of(region, METRICS)
    for name, found in metrics.get("differences", {}).items():
        minus = {"scores": {f"network minus {name}": found}}
        yield from rows_of(inclusive(metrics) | minus, {short: METRICS[short] for short in SHORT})
    # Metrics in METRICS are already in the rows above.
    more = {name: metric for name, metric in OF_INTERVALS.items() if name not in METRICS}
    for region in metrics["intervals"]["regions"] if metrics["intervals"] else ():
        yield from rows_of(region, more)


def rows_of(region: Mapping, metrics: Mapping[str, Metric]) -> Iterator[dict]:
    """Yield a row for each estimator and metric of a region."""
    spans = {name: region.get(name) or ("", "") for name in INTERVAL_BIN_VARIABLES}
    place = {f"{name}_{end}": spans[name][i] for name in spans for i, end in enumerate(("low", "high"))}
    for estimator, scores in region["scores"].items():
        for name, metric in metrics.items():
            values = scores[name] or dict.fromkeys(("value", "low", "high"), "")
            about = {"estimator": estimator, "metric": name, "unit": metric.unit.replace("%", "1")}
            yield {"by": region["by"], **place, "jets": region["jets"], **about, **values}


def metrics_csv(metrics: Mapping) -> str:
    """Return the rows of `metric_rows` as CSV."""
    text, found = StringIO(), list(metric_rows(metrics))
    writer = csv.DictWriter(text, found[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def metrics_table(title: str, metrics: Mapping) -> str:
    """Return a text table of the `SHORT` metrics with intervals, one line per estimator."""
    level, region = metrics["bootstrap"]["level"], inclusive(metrics)
    lines = [f"{title}: {region['jets']:,} test jets; intervals: {level:.0%}, bootstrap over events"]
    units = {name: METRICS[name].unit for name in SHORT}
    heads = {"mae": "MAE", "mre": "MRE", "resolution": "resolution", "bias": "bias"}
    lines.append(" " * 30 + "".join(f"{f'{heads[name]} ({unit})':26}" for name, unit in units.items()).rstrip())
    for estimator, scores in region["scores"].items():
        numbers = (f"{interval(scores[name], 100 if unit == '%' else 1):26}" for name, unit in units.items())
        lines.append(f"{TITLES[estimator]:30}{''.join(numbers)}".rstrip())
    for name, found in metrics.get("differences", {}).items():
        mae, mre = (signed(found[short], factor) for short, factor in (("mae", 1), ("mre", 100)))
        lines.append(f"network − {TITLES[name]}, on the same jets: MAE {mae} GeV, MRE {mre} %")
    lines += [interval_summary_line(metrics["intervals"])] if metrics["intervals"] else []
    lines.append(baselines_not_beaten(metrics) or "")
    return "\n".join(lines).rstrip() + "\n"


def signed(number: Mapping[str, float], factor: float) -> str:
    """Return a difference and its interval as text with signs, multiplied by `factor`."""
    value, low, high = (number[key] * factor for key in ("value", "low", "high"))
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def interval(number: Mapping[str, float] | None, factor: float) -> str:
    """Return a value and its interval as text, multiplied by `factor`; a dash if undefined."""
    if number is None:
        return "     –"
    value, low, high = (number[key] * factor for key in ("value", "low", "high"))
    return f"{value:z6.2f} [{low:z6.2f}, {high:z6.2f}]"
