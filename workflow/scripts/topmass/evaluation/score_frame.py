"""Scores in long form, one row per region, estimator and metric; the source of all tables and figures of scores."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from topmass.evaluation.intervals import INTERVAL_METRICS, interval_summary_line
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.regions import INTERVAL_BIN_VARIABLES
from topmass.evaluation.sample_score import SAMPLE_METRICS
from topmass.evaluation.score import TITLES, baselines_not_beaten, inclusive

ALL_METRICS = SAMPLE_METRICS | INTERVAL_METRICS | METRICS
UNDEFINED = dict.fromkeys(("value", "low", "high"), np.nan)
SUMMARY_HEADS = {"mae": "MAE (GeV)", "mre": "MRE (%)", "resolution": "resolution (%)", "bias": "bias (GeV)"}


def score_frame(regions: Iterable[Mapping]) -> pd.DataFrame:
    """Return the scores of some regions of `metrics.json` in long form.

    The columns are `by`, lower and upper edge of the region in each of `INTERVAL_BIN_VARIABLES` (None if it has no
    edges), `jets`, `estimator`, `metric`, `unit`, and `value` with its interval from `low` to `high`, NaN if undefined.
    A metric in "%" is a fraction, with the unit "1".
    """
    rows = []
    for region in regions:
        spans = {name: region.get(name) or (None, None) for name in INTERVAL_BIN_VARIABLES}
        edges = {
            f"{name}_{end}": edge for name in spans for end, edge in zip(("low", "high"), spans[name], strict=True)
        }
        for estimator, scores in region["scores"].items():
            for metric, score in scores.items():
                identity = {"by": region["by"], **edges, "jets": region["jets"], "estimator": estimator}
                unit = ALL_METRICS[metric].unit.replace("%", "1")
                rows.append({**identity, "metric": metric, "unit": unit, **(score or UNDEFINED)})
    # Edges are as in the configuration, some integers; pandas would convert the integers of a column to floats.
    return pd.DataFrame(rows, dtype=object).astype(dict.fromkeys(UNDEFINED, float))


def metrics_csv(metrics: Mapping) -> str:
    """Return all scores of `metrics.json` as CSV, with the paired differences and the scores of intervals."""
    differences = [
        inclusive(metrics) | {"scores": {f"network minus {name}": scores}}
        for name, scores in metrics.get("differences", {}).items()
    ]
    table = score_frame([*metrics["regions"], *differences])
    if metrics["intervals"]:
        intervals = score_frame(metrics["intervals"]["regions"])
        # The metrics of masses are in the table already.
        table = pd.concat([table, intervals[~intervals["metric"].isin(METRICS)]])
    return table.to_csv(index=False, lineterminator="\n")


def summary_text(title: str, metrics: Mapping) -> str:
    """Return a text table of the `MAIN_METRICS` with intervals for all jets, one line per estimator."""
    level, region = metrics["bootstrap"]["level"], inclusive(metrics)
    lines = [f"{title}: {region['jets']:,} test jets; intervals: {level:.0%}, bootstrap over events"]
    lines.append(" " * 30 + "".join(f"{head:26}" for head in SUMMARY_HEADS.values()))
    for estimator, scores in score_frame([region]).groupby("estimator", sort=False):
        cells = scores.set_index("metric").loc[[*SUMMARY_HEADS]].itertuples()
        lines.append(f"{TITLES[estimator]:30}" + "".join(f"{format_score(cell):26}" for cell in cells))
    for name, differences in metrics.get("differences", {}).items():
        mae, mre = (format_difference(differences[metric], METRICS[metric].factor) for metric in ("mae", "mre"))
        lines.append(f"network − {TITLES[name]}, on the same jets: MAE {mae} GeV, MRE {mre} %")
    if metrics["intervals"]:
        lines.append(interval_summary_line(metrics["intervals"]))
    lines.append(baselines_not_beaten(metrics) or "")
    return "\n".join(map(str.rstrip, lines)).rstrip() + "\n"


def format_score(score: NamedTuple) -> str:
    """Return a row of `score_frame`, with its metric as index, as text; a dash if undefined."""
    if np.isnan(score.value):
        return "     –"
    value, low, high = (number * METRICS[score.Index].factor for number in (score.value, score.low, score.high))
    return f"{value:z6.2f} [{low:z6.2f}, {high:z6.2f}]"


def format_difference(difference: Mapping[str, float], factor: float) -> str:
    """Return a difference and its interval as text with signs, multiplied by `factor`."""
    value, low, high = (difference[key] * factor for key in ("value", "low", "high"))
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
