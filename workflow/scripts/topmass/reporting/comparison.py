"""The tables of experiments side by side."""

from collections.abc import Mapping

from topmass.reporting.scores import COLUMNS
from topmass.reporting.tables import NOTHING, Column, Number, Table, decimal, with_interval

SPENT = {"epochs": "epochs", "seconds": "seconds", "jets_per_second": "jets/s"}
"""What a training took, by its name in comparison.json."""


def comparison_tables(comparison: Mapping) -> list[Table]:
    """What the experiments score, with the difference to the first on the same jets; and what they are.

    `comparison` is the content of comparison.json.
    """
    rows, reference = comparison["rows"], comparison["reference"]
    metrics = [name for name in COLUMNS if name in rows[0]["scores"]]
    differing = {name: None for row in rows for name in row["difference"] or {} if name in COLUMNS}
    heads = [Column("test jets"), *(COLUMNS[name] for name in metrics), Column(f"jets shared with {reference}")]
    heads += [Column(f"{COLUMNS[name].title} − {reference}", COLUMNS[name].unit) for name in differing]
    scores = [
        [
            f"{row['experiment']}, {len(row['seeds'])} seed{'s' * (len(row['seeds']) > 1)}",
            count(row["test_jets"]),
            *(over_seeds(row["scores"][name], COLUMNS[name].unit) for name in metrics),
            count(row["shared_jets"]),
            *(with_interval((row["difference"] or {}).get(name), COLUMNS[name].unit) for name in differing),
        ]
        for row in rows
    ]
    caption = (
        "Means over seeds ± standard deviation; in brackets the interval of a difference on the jets that are shared"
    )
    return [Table(caption, [Column("experiment"), *heads], scores), trainings(rows)]


def trainings(rows: list[Mapping]) -> Table:
    """What was trained on what, and for how long."""
    cells = []
    for row in rows:
        about = row["training"]
        known = [layers(about["layers"]), about["network"], count(about["parameters"]), count(about["jets"])]
        cells.append([row["experiment"], *known, *(count(about[name]) for name in SPENT)])
    heads = ("experiment", "layers", "network", "parameters", "training jets", *SPENT.values())
    return Table("What was trained, and how fast", list(map(Column, heads)), cells)


def layers(names: list[str]) -> str:
    """Names of layers in a row."""
    return ", ".join(names)


def over_seeds(number: Mapping | None, unit: str) -> Number:
    """A mean over seeds with its standard deviation."""
    if number is None:
        return Number(NOTHING)
    deviation = number["deviation"]
    return Number(decimal(number["mean"], unit), "" if deviation is None else f"± {decimal(deviation, unit)}")


def count(number: Mapping | float | None) -> Number:
    """A whole number, or the mean of some."""
    if number is None:
        return Number(NOTHING)
    if not isinstance(number, Mapping):
        return Number(f"{number:,.0f}")
    return Number(f"{number['mean']:,.0f}", f"± {number['deviation']:,.0f}" if number["deviation"] else "")
