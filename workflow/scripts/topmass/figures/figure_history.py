"""Figures of the loss and the validation errors by epoch."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from topmass.console import log_info
from topmass.files import BadInput
from topmass.plotting.style import LABEL, FigureData
from topmass.preprocessing.shards import MASS_SCALE

COLUMNS = ["epoch", "loss", "validation_loss", "mae", "mre"]


def draw_history(history: Path) -> dict[str, FigureData]:
    """Draw losses, validation MAE and MRE of a training; the best epoch has the smallest MAE."""
    rows = read_history(history)
    best = rows["epoch"][rows["mae"].idxmin()]
    log_info(f"{rows['epoch'].iloc[-1]:.4g} epochs, the best weights are of {best:.4g}")
    return {
        "loss": draw_losses(rows, best),
        "errors": draw_errors(rows, best),
    }


def read_history(path: Path) -> pd.DataFrame:
    """Load `COLUMNS`; BadInput if one is missing or not finite."""
    try:
        table = pd.read_csv(path, encoding_errors="replace")
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    if table.empty:
        raise BadInput(f"{path}: no epoch")
    for name in COLUMNS:
        if name not in table:
            raise BadInput(f"{path}: no column '{name}'")
    rows = table[COLUMNS].apply(pd.to_numeric, errors="coerce").astype(float)
    invalid = ~np.isfinite(rows.to_numpy())
    if invalid.any():
        row, column = np.argwhere(invalid)[0]
        raise BadInput(f"{path}: row {row + 1}: {COLUMNS[column]} is not a finite number")
    return rows


def draw_losses(history: pd.DataFrame, best: float) -> FigureData:
    """Draw training and validation loss by epoch, and mark the epoch `best`."""
    history = history[["epoch", "loss", "validation_loss"]]
    epoch, loss, validation_loss = history.to_numpy().T
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    axes.plot(epoch, loss, "o-", color="C0", label="training")
    axes.plot(epoch, validation_loss, "s-", color="C1", label="validation")
    mark_best(axes, epoch, validation_loss, best)
    set_limits(axes, np.concatenate([loss, validation_loss]))
    # The recipe chooses the kind of loss; its unit is always the mass scale.
    axes.set_ylabel(f"Loss (units of {MASS_SCALE:g} GeV)")
    axes.set_title(LABEL, loc="left")
    axes.legend()
    label_epochs(axes, epoch)
    return FigureData(figure, history)


def draw_errors(history: pd.DataFrame, best: float) -> FigureData:
    """Draw validation MAE in GeV and MRE, a fraction, by epoch, and mark the epoch `best`."""
    epoch, mae, mre = history[["epoch", "mae", "mre"]].to_numpy().T
    figure = Figure(figsize=(9, 8), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    for axes, values, colour, name in ((upper, mae, "C0", "MAE (GeV)"), (lower, 100 * mre, "C1", "MRE (%)")):
        axes.plot(epoch, values, "o-", color=colour)
        mark_best(axes, epoch, values, best)
        set_limits(axes, values)
        axes.set_ylabel(f"Validation {name}")
        axes.legend()
    upper.set_title(LABEL, loc="left")
    label_epochs(lower, epoch)
    figure.align_ylabels()
    return FigureData(figure, {"epoch": epoch, "validation_mae": mae, "validation_mre": mre})


def mark_best(axes: Axes, epoch: np.ndarray, values: np.ndarray, best: float) -> None:
    """Draw a ring around the value at the best epoch."""
    ring = {"color": "black", "fillstyle": "none", "markersize": 16, "markeredgewidth": 2}
    axes.plot([best], values[epoch == best], "o", **ring, label=f"best epoch ({best:.4g})")


def set_limits(axes: Axes, values: np.ndarray) -> None:
    """Set vertical limits with a margin: 10 % of the range, at least 3 % of the largest value (constant loss)."""
    margin = max(0.1 * np.ptp(values), 0.03 * np.abs(values).max())
    axes.set_ylim(values.min() - margin, values.max() + margin)


def label_epochs(axes: Axes, epoch: np.ndarray) -> None:
    """Set ticks at integer epochs only."""
    axes.set_xlim(epoch[0] - 0.5, epoch[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Epoch")
