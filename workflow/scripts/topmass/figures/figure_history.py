"""Figures of the loss and the validation errors by epoch."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info
from topmass.files import BadInput
from topmass.plotting.loss_curves import draw_errors_by_epoch, draw_losses
from topmass.plotting.style import save, style_context

COLUMNS = ("epoch", "loss", "validation_loss", "mae", "mre")


def draw_history(history: Path, loss: Path, errors: Path, colours: Sequence[str]) -> None:
    """Draw losses, validation MAE and MRE of a training; the best epoch has the smallest MAE."""
    rows = read_history(history)
    best = rows["epoch"][np.argmin(rows["mae"])]
    log_info(f"{rows['epoch'][-1]:.4g} epochs, the best weights are of {best:.4g}")
    with style_context(colours):
        save(draw_losses(rows["epoch"], rows["loss"], rows["validation_loss"], best), loss)
        save(draw_errors_by_epoch(rows["epoch"], rows["mae"], rows["mre"], best), errors)


def read_history(path: Path) -> dict[str, np.ndarray]:
    """Load `COLUMNS`, `(epochs,)` each; BadInput if one is missing or not finite."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise BadInput(f"{path}: no epoch")
    columns = {name: np.empty(len(rows)) for name in COLUMNS}
    for i, row in enumerate(rows):
        for name in COLUMNS:
            if name not in row:
                raise BadInput(f"{path}: no column '{name}'")
            try:
                columns[name][i] = float(row[name] or "")
            except ValueError:
                columns[name][i] = np.nan
            if not np.isfinite(columns[name][i]):
                raise BadInput(f"{path}: row {i + 1}: {name} is not a finite number")
    return columns
