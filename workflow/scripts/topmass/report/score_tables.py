"""Tables of scores of the networks and baselines."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from topmass.evaluation.metrics import METRICS
from topmass.evaluation.regions import CONTAINMENT
from topmass.evaluation.score import SHORT, TITLES, inclusive
from topmass.report.tables import Cell, Column, Table, with_interval

ORDER = (*SHORT, *(name for name in METRICS if name not in SHORT))
"""Order of the metrics, most important first."""
ACRONYMS = ("mae", "mre", "rmse")


def title(metric: str) -> str:
    """Return the column title of a metric."""
    return metric.upper() if metric in ACRONYMS else metric.replace("_", " ")


METRIC_COLUMNS = {name: Column(title(name), METRICS[name].unit) for name in ORDER}
DEFINITIONS = [(title(name), METRICS[name].title) for name in ORDER]


def score_tables(runs: Sequence[Mapping]) -> list[Table]:
    """Return the tables for each set of test jets, with a row for each network and each baseline.

    For each set there is a table for all jets. Tables of paired differences and of containment categories follow where
    available. Consecutive runs with the same baseline scores share a table.

    Args:
        runs: Contents of the runs' metrics.json.
    """
    groups = [list(group) for _, group in groupby(runs, others)]
    return [table for group in groups for table in tables_of(group)]


def tables_of(runs: Sequence[Mapping]) -> list[Table]:
    """Return the tables of runs with the same baseline scores."""
    return [score_table(runs), *difference_tables(runs), *containment_tables(runs)]


def others(run: Mapping) -> list:
    """Return the number of test jets and the baseline scores; equal for networks with the same test jets."""
    region = inclusive(run)
    return [region["jets"], {name: found for name, found in region["scores"].items() if name != "network"}]


def score_table(runs: Sequence[Mapping]) -> Table:
    """Return the table of all metrics for runs with the same baseline scores."""
    level = runs[0]["bootstrap"]["level"]
    caption = (
        f"{inclusive(runs[0])['jets']:,} test jets; in brackets the {level:.0%} interval, by bootstrap over events"
    )
    return Table(
        caption,
        [Column("estimator"), *METRIC_COLUMNS.values()],
        score_rows(runs, [[inclusive(run)] for run in runs], ORDER),
    )


def difference_tables(runs: Sequence[Mapping]) -> list[Table]:
    """Return the table of differences between each network and the strongest baseline; an empty list without any."""
    found = [
        [
            f"network {name_of(run)} − {TITLES[name]}",
            *(with_interval(scores[each], METRIC_COLUMNS[each].unit) for each in SHORT),
        ]
        for run in runs
        for name, scores in run.get("differences", {}).items()
    ]
    level = runs[0]["bootstrap"]["level"]
    caption = f"Differences on the same jets; in brackets the {level:.0%} interval, by bootstrap over events"
    heads = [Column("difference"), *(METRIC_COLUMNS[name] for name in SHORT)]
    return [Table(caption, heads, found)] if found else []


def containment_tables(runs: Sequence[Mapping]) -> list[Table]:
    """Return the table of the `SHORT` metrics by containment category; an empty list if containment is unknown."""
    parts = [[region for region in run["regions"] if region["by"] in CONTAINMENT] for run in runs]
    if not parts[0]:
        return []
    counts = ", ".join(f"{region['jets']:,} {region['by']}" for region in parts[0])
    heads = [
        Column(f"{METRIC_COLUMNS[name].title}, {region['by']}", METRIC_COLUMNS[name].unit)
        for region in parts[0]
        for name in SHORT
    ]
    caption = f"The same by containment: all three quarks of the top in the window ({counts})"
    return [Table(caption, [Column("estimator"), *heads], score_rows(runs, parts, SHORT))]


def score_rows(runs: Sequence[Mapping], regions: Sequence[Sequence[Mapping]], metrics: Sequence[str]) -> list[list]:
    """Return a row for each network and each baseline.

    Args:
        runs: Contents of the runs' metrics.json.
        regions: Regions of each run to show.
        metrics: Metrics to show in each region.
    """
    networks = [
        [f"network {name_of(run)}", *metric_cells("network", each, metrics)]
        for run, each in zip(runs, regions, strict=True)
    ]
    known = [name for name in regions[0][0]["scores"] if name != "network"]
    return networks + [[TITLES[name], *metric_cells(name, regions[0], metrics)] for name in known]


def name_of(run: Mapping) -> str:
    """Return the name of a run in text."""
    return f"{run['experiment']}, seed {run['seed']}"


def metric_cells(estimator: str, regions: Sequence[Mapping], metrics: Sequence[str]) -> list[Cell]:
    """Return the cells of one estimator."""
    return [
        with_interval(each["scores"][estimator][name], METRIC_COLUMNS[name].unit)
        for each in regions
        for name in metrics
    ]
