"""Table of the coverage and width of predicted intervals."""

from collections.abc import Iterator, Mapping, Sequence

from topmass.evaluation.intervals import CELLS, INTERVAL_METRICS, MIN_JETS_PER_BIN, worst_coverage_bin
from topmass.evaluation.regions import CONTAINMENT
from topmass.report.score_tables import name_of
from topmass.report.tables import Cell, Column, Table, decimal, with_interval

SHOWN_METRICS = ("coverage", "mean_width", "median_width")
BY_CONTAINMENT = ("coverage", "mean_width")


def interval_tables(runs: Sequence[Mapping]) -> list[Table]:
    """Return one table with a row for each network that predicts intervals; an empty list if there is none.

    Args:
        runs: Contents of the runs' metrics.json.
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
            Cell(decimal(run["intervals"]["level"], "%")),
            *interval_cells(run["intervals"], part, known),
        ]
        for run, part in zip(with_intervals, parts, strict=True)
    ]
    worst = f"worst is what is the farthest from nominal in a bin with {MIN_JETS_PER_BIN} jets"
    return [Table(f"Intervals of the mass, as each network gives them for each jet; {worst}", columns, rows)]


def heads(known: Sequence[str]) -> Iterator[Column]:
    """Yield the columns for all jets, for each containment category and for the worst bins."""
    for by in known:
        of = "" if by == "all" else f", {by}"
        for name in metrics_of(by):
            yield Column(f"{name.replace('_', ' ')}{of}", INTERVAL_METRICS[name].unit)
    for name in CELLS.values():
        yield Column(f"worst coverage, {name}", "%")


def interval_cells(intervals: Mapping, part: Mapping[str, Mapping], known: Sequence[str]) -> Iterator[Cell]:
    """Yield the cells of one network; a dash where a value is unknown."""
    for by in known:
        for name in metrics_of(by):
            yield with_interval(part[by][name] if by in part else None, INTERVAL_METRICS[name].unit)
    for by in CELLS:
        worst = worst_coverage_bin(intervals, by)
        yield with_interval(worst and worst["scores"]["network"]["coverage"], "%")


def metrics_of(by: str) -> Sequence[str]:
    """Return the metrics shown for a region."""
    return SHOWN_METRICS if by == "all" else BY_CONTAINMENT
