"""Tables of training history, hardware and speed."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.report.tables import Cell, Column, Table, decimal, report_parse_errors

HISTORY_COLUMNS = ("training", "epochs", "best epoch", "validation MAE", "validation MRE", "last learning rate")
ABOUT = {"network": "network", "parameters": "parameters", "jets": "jets", "device": "device", "precision": "precision"}
"""Keys of training.json and their column titles."""
COST_NAMES = {"threads": "threads", "processes": "processes", "seconds": "seconds", "jets_per_second": "jets/s"}
"""Keys of training.json, with column titles, that may differ between runs."""


def history_table(histories: Sequence[Path]) -> Table:
    """Return a table with a row for each history.csv; the best epoch has the smallest validation MAE.

    Raises:
        BadInput: If a file is not a training history.
    """
    units = ("", "", "", "GeV", "%", "")
    return Table(
        "Of the epoch whose weights are used, that of the smallest validation MAE",
        [Column(head, unit) for head, unit in zip(HISTORY_COLUMNS, units, strict=True)],
        [[run_of(path), *best_epoch(path)] for path in histories],
    )


def best_epoch(path: Path) -> list[Cell]:
    """Return the cells of one history."""
    with report_parse_errors(path, "the history of a training"):
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        best = min(rows, key=lambda row: float(row["mae"]))
        epochs = (f"{float(row['epoch']):.4g}" for row in (rows[-1], best))
        errors = (decimal(float(best[name]), unit) for name, unit in (("mae", "GeV"), ("mre", "%")))
        return [*map(Cell, (*epochs, *errors, f"{float(rows[-1]['learning_rate']):.2g}"))]


def training_table(trainings: Sequence[Path]) -> Table:
    """Return a table with a row for each training.json.

    Raises:
        BadInput: If a file is not a training.json.
    """
    heads = {**ABOUT, **COST_NAMES}
    return Table(
        "What was trained where, and how fast",
        [Column("training"), *map(Column, heads.values())],
        [
            [run_of(path), *(cell(about[name]) for name in heads)]
            for path in trainings
            for about in [read_history_file(path, heads)]
        ],
    )


def read_history_file(path: Path, names: Mapping[str, str]) -> dict:
    """Return these entries of a training.json."""
    with report_parse_errors(path, "about a training"):
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in names}


def cell(value: str | float) -> str | Cell:
    """Return a text unchanged, or a number rounded to an integer."""
    return value if isinstance(value, str) else Cell(f"{value:,.0f}")


def run_of(path: Path) -> str:
    """Return experiment and seed of a file in the folder of a training."""
    return f"{path.parts[-3]}, seed {path.parts[-2]}"
