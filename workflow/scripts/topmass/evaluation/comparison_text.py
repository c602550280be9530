"""Comparison of experiments as a text table and as CSV."""

import csv
from collections.abc import Mapping
from io import StringIO

from topmass.evaluation.comparison import COMPARED, TRAINING_COST
from topmass.evaluation.score import signed


def comparison_csv(comparison: Mapping) -> str:
    """Return a comparison as CSV, one row per experiment; mean, deviation and interval ends are separate columns."""
    text, rows = StringIO(), [flatten_row(row) for row in comparison["rows"]]
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def flatten_row(row: Mapping) -> dict:
    """Return an experiment's row as a flat dictionary."""
    training = row["training"]
    found = {"experiment": row["experiment"], "seeds": len(row["seeds"]), "test_jets": row["test_jets"]}
    found |= {"network": training["network"], "layers": " ".join(training["layers"])}
    found |= {"parameters": training["parameters"]}
    numbers = {name: training[name] for name in TRAINING_COST} | {name: row["scores"][name] for name in COMPARED}
    for name, number in numbers.items():
        found |= {name: number["mean"], f"{name}_deviation": number["deviation"]}
    found["shared_jets"] = row["shared_jets"]
    for name in COMPARED:
        for end in ("value", "low", "high"):
            column = f"{name}_difference" + ("" if end == "value" else f"_{end}")
            found[column] = row["difference"][name][end] if row["difference"] else None
    return found


def comparison_table(comparison: Mapping) -> str:
    """Return a comparison as a text table: training cost, MAE, MRE, resolution and the paired difference in MAE."""
    head = ["experiment", "seeds", "jets", "epochs", "seconds", "MAE (GeV)", "MRE (%)", "resolution (%)"]
    head.append(f"ΔMAE to {comparison['reference']} (GeV)")
    lines = [head, *([*format_row(row), format_difference(row)] for row in comparison["rows"])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    level = f"{comparison['level']:.0%} intervals of paired differences: bootstrap over events and seeds"
    return "\n".join([*rows, f"± standard deviation over seeds; {level}"]) + "\n"


def format_row(row: Mapping) -> list[str]:
    """Return the cells of an experiment, without its difference."""
    spent, scores = row["training"], row["scores"]
    trained = [f"{len(row['seeds'])}", f"{spent['jets']['mean']:,.0f}", f"{spent['epochs']['mean']:.3g}"]
    trained.append(f"{spent['seconds']['mean']:,.0f}")
    factors = {"mae": 1, "mre": 100, "resolution": 100}
    return [row["experiment"], *trained, *(plus_minus(scores[name], factor) for name, factor in factors.items())]


def format_difference(row: Mapping) -> str:
    """Return the cell of an experiment's difference in MAE; empty for the reference."""
    if not row["difference"]:
        return ""
    return f"{signed(row['difference']['mae'], 1)} on {row['shared_jets']:,} jets"


def plus_minus(number: Mapping, factor: float) -> str:
    """Return a mean and its deviation as text, multiplied by `factor`."""
    deviation = "" if number["deviation"] is None else f" ± {number['deviation'] * factor:.2f}"
    return f"{number['mean'] * factor:.2f}{deviation}"
