"""Mean jet images, and the window that all images share."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from topmass.jets import JetBatch
from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE, Layer
from topmass.plotting.style import LABEL, FigureData

HALF_ETA, HALF_PHI = SIDE * PIXEL_ETA / 2, SIDE * PIXEL_PHI / 2
WINDOW = {"extent": (-HALF_PHI, HALF_PHI, -HALF_ETA, HALF_ETA), "origin": "lower", "interpolation": "nearest"}
"""Rows run upwards in η, columns to the right in φ; the origin is the centre of the window."""


def mean_images(jets: JetBatch, layers: Sequence[Layer]) -> np.ndarray:
    """Return the mean image over all jets `(layers, SIDE, SIDE)`, in the units of the layers.

    All pixels of a cell of a coarser layer have the value of the cell.
    """
    images = np.zeros((len(layers), SIDE, SIDE))
    for i, layer in enumerate(layers):
        chosen = jets.layer == i
        cells = SIDE // layer.cell
        total = np.bincount(jets.pixel[chosen], weights=jets.value[chosen], minlength=cells**2)
        images[i] = np.kron(total.reshape(cells, cells), np.ones((layer.cell, layer.cell))) / len(jets)
    return images


def image_panels(images: np.ndarray, layers: Sequence[Layer], jets: int) -> FigureData:
    """Draw one panel per layer.

    Args:
        images: Mean images `(layers, SIDE, SIDE)`.
        layers: Layers of the images.
        jets: Number of jets in the mean.
    """
    columns = 2 if len(layers) == 4 else min(3, len(layers))
    rows = -(-len(layers) // columns)
    figure = Figure(figsize=(4.7 * columns, 4 * rows + 0.3), layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(layers) :]:
        axes.remove()
    for axes, image, layer in zip(panels.flat, images, layers, strict=False):
        cmap = colormaps["RdBu_r" if layer.signed else "viridis"]
        norm = colour_scale(image, layer.signed)
        picture = axes.imshow(image, cmap=cmap.with_extremes(bad=cmap(0)), norm=norm, **WINDOW)
        unit = layer.unit if layer.signed else f"{layer.unit} / pixel"
        inset = axes.inset_axes((1.04, 0, 0.05, 1))
        bar = figure.colorbar(picture, cax=inset, extend="both" if layer.signed else "min")
        bar.set_label(f"Mean ({unit})")
        if layer.signed:
            bar.formatter.set_useMathText(True)
            bar.formatter.set_powerlimits((-2, 4))
        axes.set_title(layer.title)
    label_window(figure, panels[0, 0])
    figure.get_layout_engine().set(w_pad=0.1)
    figure.suptitle(f"{LABEL}, mean of {jets:,} jets", x=0.01, horizontalalignment="left")
    eta, phi = centres(*np.indices((SIDE, SIDE)).reshape(2, -1), SIDE)
    means = {layer.name: image.ravel() for layer, image in zip(layers, images, strict=True)}
    return FigureData(figure, {"delta_eta": eta, "delta_phi": phi, **means})


def colour_scale(image: np.ndarray, signed: bool) -> Normalize:
    """Return a colour scale: linear and symmetric if signed, else logarithmic; extreme values are saturated."""
    magnitude = np.abs(image[image != 0])
    if not len(magnitude):
        return Normalize(-1 if signed else 0, 1)
    if signed:
        highest = np.quantile(magnitude, 0.95)
        return Normalize(-highest, highest)
    return LogNorm(min(np.quantile(magnitude, 0.05), magnitude.max() / 10), magnitude.max())


def centres(row: np.ndarray, column: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return η and φ of cell centres relative to the centre of the window.

    Args:
        row: Rows of the cells.
        column: Columns of the cells.
        side: Number of cells along each side of the window.
    """
    return (2 * (row + 0.5) / side - 1) * HALF_ETA, (2 * (column + 0.5) / side - 1) * HALF_PHI


def label_window(figure: Figure, panel: Axes) -> None:
    """Label the axes that all panels share with this one."""
    panel.minorticks_off()
    panel.xaxis.set_major_locator(MultipleLocator(0.5))
    panel.yaxis.set_major_locator(MultipleLocator(0.5))
    figure.supxlabel(r"$\Delta\phi$ from the centre of the window (rad)", fontsize="medium")
    figure.supylabel(r"$\Delta\eta$ from the centre of the window", fontsize="medium")
