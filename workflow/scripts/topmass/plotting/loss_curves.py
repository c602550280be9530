"""Loss and validation-error curves of a training."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from topmass.plotting.style import LABEL, FigureData
from topmass.preprocessing.shards import MASS_SCALE


def draw_losses(epoch: np.ndarray, loss: np.ndarray, validation_loss: np.ndarray, best: float) -> FigureData:
    """Draw training and validation loss `(E,)` by epoch `(E,)`, and mark the epoch `best`."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    axes.plot(epoch, loss, "o-", color="C0", label="training")
    axes.plot(epoch, validation_loss, "s-", color="C1", label="validation")
    mark_best(axes, epoch, validation_loss, best)
    frame(axes, np.concatenate([loss, validation_loss]))
    # The recipe chooses the kind of loss; its unit is always the mass scale.
    axes.set_ylabel(f"Loss (units of {MASS_SCALE:g} GeV)")
    axes.set_title(LABEL, loc="left")
    axes.legend()
    label_epochs(axes, epoch)
    return FigureData(figure, {"epoch": epoch, "loss": loss, "validation_loss": validation_loss})


def draw_errors_by_epoch(epoch: np.ndarray, mae: np.ndarray, mre: np.ndarray, best: float) -> FigureData:
    """Draw validation MAE `(E,)` in GeV and MRE `(E,)`, a fraction, by epoch `(E,)`, and mark the epoch `best`."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    for axes, values, colour, name in ((upper, mae, "C0", "MAE (GeV)"), (lower, 100 * mre, "C1", "MRE (%)")):
        axes.plot(epoch, values, "o-", color=colour)
        mark_best(axes, epoch, values, best)
        frame(axes, values)
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


def frame(axes: Axes, values: np.ndarray) -> None:
    """Set vertical limits with a margin: 10 % of the range, at least 3 % of the largest value (constant loss)."""
    room = max(0.1 * np.ptp(values), 0.03 * np.abs(values).max())
    axes.set_ylim(values.min() - room, values.max() + room)


def label_epochs(axes: Axes, epoch: np.ndarray) -> None:
    """Set ticks at integer epochs only."""
    axes.set_xlim(epoch[0] - 0.5, epoch[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Epoch")
