"""Tables of the comparison of experiments."""

from collections.abc import Mapping, Sequence

from topmass.report.score_tables import METRIC_COLUMNS
from topmass.report.tables import Cell, Column, Table, decimal, with_interval

COST_COLUMNS = {"epochs": "epochs", "seconds": "seconds", "jets_per_second": "jets/s"}
"""Titles of the training cost, by its names in comparison.json."""


def comparison_tables(comparison: Mapping) -> list[Table]:
    """Return tables of scores, differences to the first experiment, responses and trainings from comparison.json."""
    rows, reference = comparison["rows"], comparison["reference"]
    metrics = [name for name in METRIC_COLUMNS if name in rows[0]["scores"]]
    scores = Table(
        "Means over seeds ± standard deviation",
        [Column("experiment"), Column("seeds"), Column("test jets"), *map(METRIC_COLUMNS.get, metrics)],
        [
            [*sizes(row), *(over_seeds(row["scores"][name], METRIC_COLUMNS[name].unit) for name in metrics)]
            for row in rows
        ],
    )
    others = [row for row in rows if row["difference"]]
    return [scores, *([difference_table(reference, others)] if others else []), responses(rows), trainings(rows)]


def sizes(row: Mapping) -> list[str | Cell]:
    """Return the experiment's name, number of seeds and number of test jets."""
    return [row["experiment"], format_count(len(row["seeds"])), format_count(row["test_jets"])]


def difference_table(reference: str, rows: Sequence[Mapping]) -> Table:
    """Return the table of differences between each experiment and the reference."""
    metrics = [name for name in METRIC_COLUMNS if name in rows[0]["difference"]]
    cells = [
        [
            f"{row['experiment']} − {reference}",
            format_count(row["shared_jets"]),
            *(with_interval(row["difference"][name], METRIC_COLUMNS[name].unit) for name in metrics),
        ]
        for row in rows
    ]
    heads = [Column("difference"), Column("shared test jets"), *map(METRIC_COLUMNS.get, metrics)]
    caption = "Differences on the same jets; in brackets the interval, by bootstrap over events and seeds"
    return Table(caption, heads, cells)


def responses(rows: Sequence[Mapping]) -> Table:
    """Return the table of the median of predicted / generated mass minus one, in bins of generated mass."""
    heads = [Column(f"{low:g} to {high:g} GeV", "%") for low, high in (each["mass"] for each in rows[0]["by_mass"])]
    cells = [[row["experiment"], *(over_seeds(beside_one(each), "%") for each in row["by_mass"])] for row in rows]
    return Table("Median of predicted / generated − 1, by generated mass", [Column("experiment"), *heads], cells)


def beside_one(found: Mapping) -> Mapping:
    """Return the response of a mass bin minus one."""
    return found["response"] | {"mean": found["response"]["mean"] - 1}


def trainings(rows: list[Mapping]) -> Table:
    """Return the table of layers, networks, training jets and training cost."""
    cells = []
    for row in rows:
        about = row["training"]
        known = [
            ", ".join(about["layers"]),
            about["network"],
            format_count(about["parameters"]),
            format_count(about["jets"]),
        ]
        cells.append([row["experiment"], *known, *(format_count(about[name]) for name in COST_COLUMNS)])
    heads = ("experiment", "layers", "network", "parameters", "training jets", *COST_COLUMNS.values())
    return Table("What was trained, and how fast", list(map(Column, heads)), cells)


def over_seeds(number: Mapping, unit: str) -> Cell:
    """Return a mean over seeds with its standard deviation."""
    deviation = number["deviation"]
    return Cell(decimal(number["mean"], unit), "" if deviation is None else f"± {decimal(deviation, unit)}")


def format_count(number: Mapping | float) -> Cell:
    """Return an integer, or a mean over seeds with its standard deviation."""
    if not isinstance(number, Mapping):
        return Cell(f"{number:,.0f}")
    return Cell(f"{number['mean']:,.0f}", f"± {number['deviation']:,.0f}" if number["deviation"] else "")
