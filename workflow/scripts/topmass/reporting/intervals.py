"""The table of intervals: how often they hold the mass, and how wide they are."""

from collections.abc import Iterator, Mapping, Sequence

from topmass.reporting.scores import name_of
from topmass.reporting.tables import Column, Number, Table, decimal, with_interval
from topmass.scoring.intervals import CELLS, ENOUGH, METRICS, farthest
from topmass.scoring.regions import CONTAINMENT

SHOWN = ("coverage", "mean_width", "median_width")
BY_CONTAINMENT = ("coverage", "mean_width")


def interval_tables(runs: Sequence[Mapping]) -> list[Table]:
    """One table with a row for each network that gives intervals; none where there is no such.

    `runs` are the contents of metrics.json.
    """
    with_intervals = [run for run in runs if run["intervals"]]
    if not with_intervals:
        return []
    parts = [{each["by"]: each["scores"]["network"] for each in run["intervals"]["regions"]} for run in with_intervals]
    known = [by for by in ("all", *CONTAINMENT) if any(by in each for each in parts)]
    columns = [Column("estimator"), Column("nominal coverage", "%"), *heads(known)]
    rows = [
        [
            f"network {name_of(run)}",
            Number(decimal(run["intervals"]["level"], "%")),
            *cells(run["intervals"], part, known),
        ]
        for run, part in zip(with_intervals, parts, strict=True)
    ]
    worst = f"worst is what is the farthest from nominal in a bin with {ENOUGH} jets"
    return [Table(f"Intervals of the mass, as each network gives them for each jet; {worst}", columns, rows)]


def heads(known: Sequence[str]) -> Iterator[Column]:
    """The columns of all jets, of contained and other ones, and of the worst bins."""
    for by in known:
        of = "" if by == "all" else f", {by}"
        for name in metrics_of(by):
            yield Column(f"{name.replace('_', ' ')}{of}", METRICS[name].unit)
    for name in CELLS.values():
        yield Column(f"worst coverage, {name}", "%")


def cells(intervals: Mapping, part: Mapping[str, Mapping], known: Sequence[str]) -> Iterator[Number]:
    """The numbers of one network; a dash for what is not known of its jets."""
    for by in known:
        for name in metrics_of(by):
            yield with_interval(part[by][name] if by in part else None, METRICS[name].unit)
    for by in CELLS:
        worst = farthest(intervals, by)
        yield with_interval(worst and worst["scores"]["network"]["coverage"], "%")


def metrics_of(by: str) -> Sequence[str]:
    """What is shown of a part of the jets."""
    return SHOWN if by == "all" else BY_CONTAINMENT
