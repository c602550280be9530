"""Draw how the loss and the validation errors went."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.drawing.history import errors, losses
from topmass.drawing.style import save, styled
from topmass.files import BadInput

COLUMNS = ("epoch", "loss", "validation_loss", "mae", "mre")


def draw_history(history: Path, loss: Path, validation: Path, colours: Sequence[str]) -> None:
    """Draw the losses, and the validation MAE and MRE, of a training; the best epoch is that of the smallest MAE."""
    rows = read_history(history)
    best = rows["epoch"][np.argmin(rows["mae"])]
    say(f"{rows['epoch'][-1]:.4g} epochs, the best weights are of {best:.4g}")
    with styled(colours):
        save(losses(rows["epoch"], rows["loss"], rows["validation_loss"], best), loss)
        save(errors(rows["epoch"], rows["mae"], rows["mre"], best), validation)


def read_history(path: Path) -> dict[str, np.ndarray]:
    """The columns of COLUMNS, (epochs,) each. BadInput if one is missing, or holds anything but finite numbers."""
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


if __name__ == "__main__":
    with stage("draw_history", snakemake.log[0]):
        draw_history(
            Path(snakemake.input.history),
            Path(snakemake.output.loss[0]),
            Path(snakemake.output.errors[0]),
            snakemake.params.colours,
        )
