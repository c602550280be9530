"""Tables of trainings: best epoch, hardware and speed."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from topmass.report.tables import Cell, Column, Table, decimal, report_parse_errors

TRAINING_COLUMNS = {
    **{name: name for name in ("network", "parameters", "jets", "device", "precision")},
    **{"threads": "threads", "processes": "processes", "seconds": "seconds", "jets_per_second": "jets/s"},
}
"""Entries of training.json and their column titles."""


def read_training(path: Path, names: Iterable[str]) -> dict:
    """Load these entries of a training.json; BadInput if one is missing."""
    with report_parse_errors(path, "about a training"):
        training = json.loads(path.read_text(encoding="utf-8"))
        return {name: training[name] for name in names}


def history_table(histories: Sequence[Path]) -> Table:
    """Return a table with a row for each history.csv; the best epoch has the smallest validation MAE."""
    columns = [Column("training"), Column("epochs"), Column("best epoch"), Column("validation MAE", "GeV")]
    columns += [Column("validation MRE", "%"), Column("last learning rate")]
    caption = "Validation errors of the best epoch, which has the smallest MAE; its weights are saved"
    return Table(caption, columns, [[run_of(path), *best_epoch(path)] for path in histories])


def best_epoch(path: Path) -> list[Cell]:
    """Return the cells of one history."""
    with report_parse_errors(path, "the history of a training"):
        history = pd.read_csv(path)
        last, best = history.iloc[-1], history.loc[history["mae"].idxmin()]
        cells = [f"{last['epoch']:.4g}", f"{best['epoch']:.4g}", decimal(best["mae"], "GeV"), decimal(best["mre"], "%")]
        return [*map(Cell, cells), Cell(f"{last['learning_rate']:.2g}")]


def training_table(trainings: Sequence[Path]) -> Table:
    """Return a table with a row for each training.json."""
    rows = [
        [run_of(path), *(value if isinstance(value, str) else Cell(f"{value:,.0f}") for value in training.values())]
        for path in trainings
        for training in [read_training(path, TRAINING_COLUMNS)]
    ]
    columns = [Column("training"), *map(Column, TRAINING_COLUMNS.values())]
    return Table("Networks, hardware and speed of the trainings", columns, rows)


def run_of(path: Path) -> str:
    """Return experiment and seed of a file in the folder of a training."""
    return f"{path.parts[-3]}, seed {path.parts[-2]}"
