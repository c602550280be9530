"""The tables of scores: every network, and the estimators that it has to beat on the same jets."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from topmass.reporting.tables import Column, Number, Table, with_interval
from topmass.scoring.metrics import METRICS
from topmass.scoring.regions import CONTAINMENT
from topmass.scoring.score import SHORT, TITLES, overall

ORDER = (*SHORT, *(name for name in METRICS if name not in SHORT))
"""Of the metrics: the most telling first."""
ACRONYMS = ("mae", "mre", "rmse")


def title(metric: str) -> str:
    """The head of a metric's column."""
    return metric.upper() if metric in ACRONYMS else metric.replace("_", " ")


COLUMNS = {name: Column(title(name), METRICS[name].unit) for name in ORDER}
MEANINGS = [(title(name), METRICS[name].title) for name in ORDER]


def score_tables(runs: Sequence[Mapping]) -> list[Table]:
    """Tables for each set of test jets: a row for every network judged on them, then one for each other estimator.

    One is of all these jets; then, where they are known, come differences on them, and those that are contained in the
    window beside the others. `runs` are the contents of metrics.json. Neighbours with the same scores but for the
    network share a table.
    """
    groups = [list(group) for _, group in groupby(runs, others)]
    return [table for group in groups for table in tables_of(group)]


def tables_of(runs: Sequence[Mapping]) -> list[Table]:
    """The tables of runs with the same others."""
    return [score_table(runs), *difference_tables(runs), *containment_tables(runs)]


def others(run: Mapping) -> list:
    """What is the same for all networks that are judged on the same jets."""
    region = overall(run)
    return [region["jets"], {name: found for name, found in region["scores"].items() if name != "network"}]


def score_table(runs: Sequence[Mapping]) -> Table:
    """One table for runs with the same others."""
    level = runs[0]["bootstrap"]["level"]
    caption = f"{overall(runs[0])['jets']:,} test jets; in brackets the {level:.0%} interval, by bootstrap over events"
    return Table(caption, [Column("estimator"), *COLUMNS.values()], rows(runs, [[overall(run)] for run in runs], ORDER))


def difference_tables(runs: Sequence[Mapping]) -> list[Table]:
    """The short metrics of each network less those of an estimator that is told as much; none if none is there."""
    found = [
        [
            f"network {name_of(run)} − {TITLES[name]}",
            *(with_interval(scores[each], COLUMNS[each].unit) for each in SHORT),
        ]
        for run in runs
        for name, scores in run.get("differences", {}).items()
    ]
    level = runs[0]["bootstrap"]["level"]
    caption = f"Differences on the same jets; in brackets the {level:.0%} interval, by bootstrap over events"
    heads = [Column("difference"), *(COLUMNS[name] for name in SHORT)]
    return [Table(caption, heads, found)] if found else []


def containment_tables(runs: Sequence[Mapping]) -> list[Table]:
    """The short metrics of contained jets beside those of the others, for runs with the same; none if it is unknown."""
    parts = [[region for region in run["regions"] if region["by"] in CONTAINMENT] for run in runs]
    if not parts[0]:
        return []
    counts = ", ".join(f"{region['jets']:,} {region['by']}" for region in parts[0])
    heads = [
        Column(f"{COLUMNS[name].title}, {region['by']}", COLUMNS[name].unit) for region in parts[0] for name in SHORT
    ]
    caption = f"The same by containment: all three quarks of the top in the window ({counts})"
    return [Table(caption, [Column("estimator"), *heads], rows(runs, parts, SHORT))]


def rows(runs: Sequence[Mapping], regions: Sequence[Sequence[Mapping]], metrics: Sequence[str]) -> list[list]:
    """A row for each network and for each other estimator: these metrics in one or more regions, given for each run."""
    networks = [
        [f"network {name_of(run)}", *numbers("network", each, metrics)] for run, each in zip(runs, regions, strict=True)
    ]
    known = [name for name in regions[0][0]["scores"] if name != "network"]
    return networks + [[TITLES[name], *numbers(name, regions[0], metrics)] for name in known]


def name_of(run: Mapping) -> str:
    """The name of a run in the text."""
    return f"{run['experiment']}, seed {run['seed']}"


def numbers(estimator: str, regions: Sequence[Mapping], metrics: Sequence[str]) -> list[Number]:
    """The cells of one estimator."""
    return [with_interval(each["scores"][estimator][name], COLUMNS[name].unit) for each in regions for name in metrics]
