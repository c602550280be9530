"""The table of trainings: how long, how well, on what."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.reporting.tables import Column, Number, Table, decimal, reading

HEADS = ("training", "epochs", "best epoch", "validation MAE", "validation MRE", "last learning rate")
ABOUT = {"network": "network", "parameters": "parameters", "jets": "jets", "device": "device", "precision": "precision"}
"""What training.json says, and its heads."""
SPENT = {"threads": "threads", "processes": "processes", "seconds": "seconds", "jets_per_second": "jets/s"}
"""The same, of what may differ from run to run."""


def history_table(histories: Sequence[Path]) -> Table:
    """A row for each history.csv: the best epoch is that of the smallest MAE. BadInput if one is none."""
    units = ("", "", "", "GeV", "%", "")
    return Table(
        "Of the epoch whose weights are used, that of the smallest validation MAE",
        [Column(head, unit) for head, unit in zip(HEADS, units, strict=True)],
        [[run_of(path), *best_epoch(path)] for path in histories],
    )


def best_epoch(path: Path) -> list[Number]:
    """The cells of one history."""
    with reading(path, "the history of a training"):
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        best = min(rows, key=lambda row: float(row["mae"]))
        epochs = (f"{float(row['epoch']):.4g}" for row in (rows[-1], best))
        errors = (decimal(float(best[name]), unit) for name, unit in (("mae", "GeV"), ("mre", "%")))
        return [*map(Number, (*epochs, *errors, f"{float(rows[-1]['learning_rate']):.2g}"))]


def training_table(trainings: Sequence[Path]) -> Table:
    """A row for each training.json. BadInput if one is none."""
    heads = {**ABOUT, **SPENT}
    return Table(
        "What was trained where, and how fast",
        [Column("training"), *map(Column, heads.values())],
        [[run_of(path), *(cell(about[name]) for name in heads)] for path in trainings for about in [read(path, heads)]],
    )


def read(path: Path, names: Mapping[str, str]) -> dict:
    """What a training.json says of these."""
    with reading(path, "about a training"):
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in names}


def cell(value: str | float) -> str | Number:
    """A text, or a whole number."""
    return value if isinstance(value, str) else Number(f"{value:,.0f}")


def run_of(path: Path) -> str:
    """Experiment and seed of a file in the folder of a training."""
    return f"{path.parts[-3]}, seed {path.parts[-2]}"
