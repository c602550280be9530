"""Figures of how a training went, validation by validation."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from topmass.drawing.style import LABEL, Drawn
from topmass.preprocessing.shards import MASS_SCALE


def losses(epoch: np.ndarray, loss: np.ndarray, validation_loss: np.ndarray, best: float) -> Drawn:
    """Training and validation loss (E,) by epoch (E,), with a mark at the best epoch."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    axes.plot(epoch, loss, "o-", color="C0", label="training")
    axes.plot(epoch, validation_loss, "s-", color="C1", label="validation")
    mark_best(axes, epoch, validation_loss, best)
    frame(axes, np.concatenate([loss, validation_loss]))
    # Of whichever kind the recipe has, in units of the mass scale.
    axes.set_ylabel(f"Loss (units of {MASS_SCALE:g} GeV)")
    axes.set_title(LABEL, loc="left")
    axes.legend()
    label_epochs(axes, epoch)
    return Drawn(figure, {"epoch": epoch, "loss": loss, "validation_loss": validation_loss})


def errors(epoch: np.ndarray, mae: np.ndarray, mre: np.ndarray, best: float) -> Drawn:
    """Validation MAE (E,), GeV, and MRE (E,), a fraction, by epoch (E,), with marks at the best epoch."""
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
    return Drawn(figure, {"epoch": epoch, "validation_mae": mae, "validation_mre": mre})


def mark_best(axes: Axes, epoch: np.ndarray, values: np.ndarray, best: float) -> None:
    """A ring around the value of the best epoch."""
    ring = {"color": "black", "fillstyle": "none", "markersize": 16, "markeredgewidth": 2}
    axes.plot([best], values[epoch == best], "o", **ring, label=f"best epoch ({best:.4g})")


def frame(axes: Axes, values: np.ndarray) -> None:
    """Room above and below the values; for a single epoch, or a loss that stands still, a few per cent of them."""
    room = max(0.1 * np.ptp(values), 0.03 * np.abs(values).max())
    axes.set_ylim(values.min() - room, values.max() + room)


def label_epochs(axes: Axes, epoch: np.ndarray) -> None:
    """Ticks at whole epochs only."""
    axes.set_xlim(epoch[0] - 0.5, epoch[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Epoch")
