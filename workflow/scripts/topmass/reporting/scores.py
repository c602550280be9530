"""The table of scores: every network, and the estimators that it has to beat on the same jets."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from topmass.reporting.tables import Column, Number, Table, with_interval
from topmass.scoring.metrics import METRICS
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
    """A table for each set of test jets: a row for every network judged on them, then one for each other estimator.

    `runs` are the contents of metrics.json. Neighbours with the same scores but for the network share a table.
    """
    return [score_table(list(group)) for _, group in groupby(runs, others)]


def others(run: Mapping) -> list:
    """What is the same for all networks that are judged on the same jets."""
    region = overall(run)
    return [region["jets"], {name: found for name, found in region["scores"].items() if name != "network"}]


def score_table(runs: Sequence[Mapping]) -> Table:
    """One table for runs with the same others."""
    jets, known = others(runs[0])
    level = runs[0]["bootstrap"]["level"]
    networks = [[f"network {name_of(run)}", *numbers(overall(run)["scores"]["network"])] for run in runs]
    baselines = [[TITLES[name], *numbers(found)] for name, found in known.items()]
    caption = f"{jets:,} test jets; in brackets the {level:.0%} interval, by bootstrap over events"
    return Table(caption, [Column("estimator"), *COLUMNS.values()], networks + baselines)


def name_of(run: Mapping) -> str:
    """The name of a run in the text."""
    return f"{run['experiment']}, seed {run['seed']}"


def numbers(found: Mapping) -> list[Number]:
    """The cells of one estimator."""
    return [with_interval(found[name], column.unit) for name, column in COLUMNS.items()]
