"""The tables of experiments side by side."""

from collections.abc import Mapping, Sequence

from topmass.reporting.scores import COLUMNS
from topmass.reporting.tables import Column, Number, Table, decimal, with_interval

SPENT = {"epochs": "epochs", "seconds": "seconds", "jets_per_second": "jets/s"}
"""What a training took, by its name in comparison.json."""


def comparison_tables(comparison: Mapping) -> list[Table]:
    """What the experiments score, with the difference to the first on the same jets; and what they are.

    `comparison` is the content of comparison.json.
    """
    rows, reference = comparison["rows"], comparison["reference"]
    metrics = [name for name in COLUMNS if name in rows[0]["scores"]]
    scores = Table(
        "Means over seeds ± standard deviation",
        [Column("experiment"), Column("seeds"), Column("test jets"), *map(COLUMNS.get, metrics)],
        [[*sizes(row), *(over_seeds(row["scores"][name], COLUMNS[name].unit) for name in metrics)] for row in rows],
    )
    others = [row for row in rows if row["difference"]]
    return [scores, *([differences(reference, others)] if others else []), responses(rows), trainings(rows)]


def sizes(row: Mapping) -> list[str | Number]:
    """Which experiment, how many seeds, how many test jets."""
    return [row["experiment"], count(len(row["seeds"])), count(row["test_jets"])]


def differences(reference: str, rows: Sequence[Mapping]) -> Table:
    """What experiments score less what the first one does."""
    metrics = [name for name in COLUMNS if name in rows[0]["difference"]]
    cells = [
        [
            f"{row['experiment']} − {reference}",
            count(row["shared_jets"]),
            *(with_interval(row["difference"][name], COLUMNS[name].unit) for name in metrics),
        ]
        for row in rows
    ]
    heads = [Column("difference"), Column("shared test jets"), *map(COLUMNS.get, metrics)]
    caption = "Differences on the same jets; in brackets the interval, by bootstrap over events and seeds"
    return Table(caption, heads, cells)


def responses(rows: Sequence[Mapping]) -> Table:
    """How far the median of predicted / generated mass is from one, in bins of generated mass."""
    heads = [Column(f"{low:g} to {high:g} GeV", "%") for low, high in (each["mass"] for each in rows[0]["by_mass"])]
    cells = [[row["experiment"], *(over_seeds(beside_one(each), "%") for each in row["by_mass"])] for row in rows]
    return Table("Median of predicted / generated − 1, by generated mass", [Column("experiment"), *heads], cells)


def beside_one(found: Mapping) -> Mapping:
    """A response less one."""
    return found["response"] | {"mean": found["response"]["mean"] - 1}


def trainings(rows: list[Mapping]) -> Table:
    """What was trained on what, and for how long."""
    cells = []
    for row in rows:
        about = row["training"]
        known = [", ".join(about["layers"]), about["network"], count(about["parameters"]), count(about["jets"])]
        cells.append([row["experiment"], *known, *(count(about[name]) for name in SPENT)])
    heads = ("experiment", "layers", "network", "parameters", "training jets", *SPENT.values())
    return Table("What was trained, and how fast", list(map(Column, heads)), cells)


def over_seeds(number: Mapping, unit: str) -> Number:
    """A mean over seeds with its standard deviation."""
    deviation = number["deviation"]
    return Number(decimal(number["mean"], unit), "" if deviation is None else f"± {decimal(deviation, unit)}")


def count(number: Mapping | float) -> Number:
    """A whole number, or the mean of some."""
    if not isinstance(number, Mapping):
        return Number(f"{number:,.0f}")
    return Number(f"{number['mean']:,.0f}", f"± {number['deviation']:,.0f}" if number["deviation"] else "")
