"""All metrics of predictions and of what they have to beat, in all regions, and a short table of them."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path

import numpy as np

from topmass.files import BadInput
from topmass.scoring.baselines import baselines
from topmass.scoring.bootstrap import Bootstrap
from topmass.scoring.intervals import METRICS as OF_INTERVALS
from topmass.scoring.intervals import score_intervals, told
from topmass.scoring.metrics import METRICS, Metric
from topmass.scoring.paired import paired_differences
from topmass.scoring.predictions import Predictions
from topmass.scoring.regions import INTERVAL_SPANS, SPANS, divide

VERSION = 4
TITLES = {
    "network": "network",
    "trees_subjets": "trees on sums and subjets",
    "trees_image": "trees on sums over the image",
    "trees_jet": "trees on numbers of the jet",
    "softdrop_mass": "soft-drop mass",
    "jet_mass": "jet mass",
    "constant_mae": "best constant for MAE",
    "constant_mre": "best constant for MRE",
}
"""Of the estimators, in the order of tables and figures."""
SHORT = ("mae", "mre", "resolution", "bias")
"""The metrics of the short table."""
KNOWS_MOST = "trees_subjets"
"""It is told what networks are told: where it is fitted, they are compared with it on the same jets."""


def score(
    jets: Predictions, others: Mapping[str, np.ndarray], mass_above: float, bins: dict[str, Sequence[float]],
    bootstrap: Bootstrap,
) -> dict:  # fmt: skip
    """Metrics with intervals of the network, of `others` (N,) GeV by name and of the baselines, in each region.

    `bins` are the edges of "mass" and "pt" in GeV. The form is that of workflow/schemas/metrics.schema.yaml. BadInput
    as from `regions.divide`.
    """
    regions = divide(jets, mass_above, bins)
    known = {"network": jets.predicted, **others, **baselines(jets, mass_above)}
    columns = {name: (jets.mass, known[name]) for name in TITLES if name in known}
    scores = bootstrap.score(METRICS, columns, [region.jets for region in regions], jets.event)
    return {
        "version": VERSION,
        "mass_above": mass_above,
        "bootstrap": asdict(bootstrap),
        "regions": [
            {"by": region.by, **{name: getattr(region, name) for name in SPANS}, "jets": len(region.jets)}
            | {"scores": found}
            for region, found in zip(regions, scores, strict=True)
        ],
        "intervals": score_intervals(jets, regions, bins, bootstrap),
        **({"differences": differences(jets, known, regions[0].jets, bootstrap)} if KNOWS_MOST in known else {}),
    }


def differences(
    jets: Predictions, known: Mapping[str, np.ndarray], rows: np.ndarray, bootstrap: Bootstrap
) -> dict[str, dict[str, dict[str, float]]]:
    """The short metrics of the network less those of what knows the most, on the jets in these rows."""
    mass, event, network, other = (each[rows] for each in (jets.mass, jets.event, jets.predicted, known[KNOWS_MOST]))
    return {KNOWS_MOST: paired_differences(mass, event, [other], [network], SHORT, bootstrap)}


def read_metrics(path: Path) -> dict:
    """Metrics from their JSON; BadInput if they are none of this version."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] != VERSION:
            raise BadInput(f"{path}: metrics of version {found['version']}, this code reads {VERSION}")
        overall(found)["scores"]["network"]["mae"]["value"]
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise BadInput(f"{path}: not the metrics of a network ({type(error).__name__}: {error})") from None
    return found


def overall(metrics: Mapping) -> Mapping:
    """The region of all jets."""
    return next(region for region in metrics["regions"] if region["by"] == "all")


def shortfall(metrics: Mapping) -> str | None:
    """A line on what the network is not better than, by the interval of its MAE; None if it beats all others."""
    scores = {name: found["mae"] for name, found in overall(metrics)["scores"].items()}
    network = scores.pop("network")
    lost = [f"{TITLES[name]} ({mae['value']:.2f})" for name, mae in scores.items() if mae["value"] <= network["high"]]
    if not lost:
        return None
    mae = f"{network['value']:.2f} [{network['low']:.2f}, {network['high']:.2f}]"
    return f"the network (MAE {mae} GeV) is not better than {', '.join(lost)}"


def rows(metrics: Mapping) -> Iterator[dict]:
    """The same numbers as one row a region, estimator and metric."""
    for region in metrics["regions"]:
        yield from rows_of(region, METRICS)
    for name, found in metrics.get("differences", {}).items():
        less = {"scores": {f"network less {name}": found}}
        yield from rows_of(overall(metrics) | less, {short: METRICS[short] for short in SHORT})
    # What is scored above already stands there.
    more = {name: metric for name, metric in OF_INTERVALS.items() if name not in METRICS}
    for region in metrics["intervals"]["regions"] if metrics["intervals"] else ():
        yield from rows_of(region, more)


def rows_of(region: Mapping, metrics: Mapping[str, Metric]) -> Iterator[dict]:
    """The rows of these metrics of a region."""
    spans = {name: region.get(name) or ("", "") for name in INTERVAL_SPANS}
    place = {f"{name}_{end}": spans[name][i] for name in spans for i, end in enumerate(("low", "high"))}
    for estimator, scores in region["scores"].items():
        for name, metric in metrics.items():
            values = scores[name] or dict.fromkeys(("value", "low", "high"), "")
            about = {"estimator": estimator, "metric": name, "unit": metric.unit.replace("%", "1")}
            yield {"by": region["by"], **place, "jets": region["jets"], **about, **values}


def as_csv(metrics: Mapping) -> str:
    """Those rows as CSV."""
    text, found = StringIO(), list(rows(metrics))
    writer = csv.DictWriter(text, found[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def table(title: str, metrics: Mapping) -> str:
    """A few lines of text: the most telling metrics with their intervals of the network and of each other estimator."""
    level, region = metrics["bootstrap"]["level"], overall(metrics)
    lines = [f"{title}: {region['jets']:,} test jets; intervals: {level:.0%}, bootstrap over events"]
    units = {name: METRICS[name].unit for name in SHORT}
    heads = {"mae": "MAE", "mre": "MRE", "resolution": "resolution", "bias": "bias"}
    lines.append(" " * 30 + "".join(f"{f'{heads[name]} ({unit})':26}" for name, unit in units.items()).rstrip())
    for estimator, scores in region["scores"].items():
        numbers = (f"{interval(scores[name], 100 if unit == '%' else 1):26}" for name, unit in units.items())
        lines.append(f"{TITLES[estimator]:30}{''.join(numbers)}".rstrip())
    for name, found in metrics.get("differences", {}).items():
        mae, mre = (signed(found[short], factor) for short, factor in (("mae", 1), ("mre", 100)))
        lines.append(f"network less {TITLES[name]}, on the same jets: MAE {mae} GeV, MRE {mre} %")
    lines += [told(metrics["intervals"])] if metrics["intervals"] else []
    lines.append(shortfall(metrics) or "")
    return "\n".join(lines).rstrip() + "\n"


def signed(number: Mapping[str, float], factor: float) -> str:
    """A difference and its interval, in other units."""
    value, low, high = (number[key] * factor for key in ("value", "low", "high"))
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def interval(number: Mapping[str, float] | None, factor: float) -> str:
    """A value and its interval, in other units."""
    if number is None:
        return "     –"
    value, low, high = (number[key] * factor for key in ("value", "low", "high"))
    return f"{value:z6.2f} [{low:z6.2f}, {high:z6.2f}]"
