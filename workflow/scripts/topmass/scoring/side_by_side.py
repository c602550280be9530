"""A comparison of experiments as a table to print and as one for spreadsheets."""

import csv
from collections.abc import Mapping
from io import StringIO

from topmass.scoring.comparison import COMPARED, SPENT
from topmass.scoring.score import signed


def as_csv(comparison: Mapping) -> str:
    """One row an experiment, as CSV; a mean, a deviation and each end of an interval have columns of their own."""
    text, rows = StringIO(), [flat(row) for row in comparison["rows"]]
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def flat(row: Mapping) -> dict:
    """An experiment's row without nesting."""
    training = row["training"]
    found = {"experiment": row["experiment"], "seeds": len(row["seeds"]), "test_jets": row["test_jets"]}
    found |= {"network": training["network"], "layers": " ".join(training["layers"])}
    found |= {"parameters": training["parameters"]}
    numbers = {name: training[name] for name in SPENT} | {name: row["scores"][name] for name in COMPARED}
    for name, number in numbers.items():
        found |= {name: number["mean"], f"{name}_deviation": number["deviation"]}
    found["shared_jets"] = row["shared_jets"]
    for name in COMPARED:
        for end in ("value", "low", "high"):
            column = f"{name}_difference" + ("" if end == "value" else f"_{end}")
            found[column] = row["difference"][name][end] if row["difference"] else None
    return found


def table(comparison: Mapping) -> str:
    """The same as lines of text: what was trained, three errors, and the paired difference of the first of them."""
    head = ["experiment", "seeds", "jets", "epochs", "seconds", "MAE (GeV)", "MRE (%)", "resolution (%)"]
    head.append(f"MAE less that of {comparison['reference']} (GeV)")
    lines = [head, *([*told(row), difference(row)] for row in comparison["rows"])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    level = f"{comparison['level']:.0%} intervals of paired differences: bootstrap over events and seeds"
    return "\n".join([*rows, f"± standard deviation over seeds; {level}"]) + "\n"


def told(row: Mapping) -> list[str]:
    """An experiment's own numbers."""
    spent, scores = row["training"], row["scores"]
    trained = [f"{len(row['seeds'])}", f"{spent['jets']['mean']:,.0f}", f"{spent['epochs']['mean']:.3g}"]
    trained.append(f"{spent['seconds']['mean']:,.0f}")
    factors = {"mae": 1, "mre": 100, "resolution": 100}
    return [row["experiment"], *trained, *(plus_minus(scores[name], factor) for name, factor in factors.items())]


def difference(row: Mapping) -> str:
    """An experiment's difference to the first one."""
    if not row["difference"]:
        return ""
    return f"{signed(row['difference']['mae'], 1)} on {row['shared_jets']:,} jets"


def plus_minus(number: Mapping, factor: float) -> str:
    """A mean and its deviation, in other units."""
    deviation = "" if number["deviation"] is None else f" ± {number['deviation'] * factor:.2f}"
    return f"{number['mean'] * factor:.2f}{deviation}"
