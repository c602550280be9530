"""Figures of what the detector saw of jets."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from topmass.drawing.style import LABEL
from topmass.jets import JetBatch
from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE, Layer

HALF_ETA, HALF_PHI = SIDE * PIXEL_ETA / 2, SIDE * PIXEL_PHI / 2
WINDOW = {"extent": (-HALF_PHI, HALF_PHI, -HALF_ETA, HALF_ETA), "origin": "lower", "interpolation": "nearest"}
"""Rows run upwards in η, columns to the right in φ; zero is the middle of the window."""
ECAL_RANGE, HCAL_RANGE = (0.1, 100), (0.5, 200)
"""Energies, GeV, from the palest to the strongest colour in pictures of single jets."""
PALE_GREYS = ListedColormap(colormaps["Greys"](np.linspace(0.1, 0.6, 256)))
"""For the HCAL, so that the ECAL and the tracks can be told from it."""
TRACK_EXAMPLES = (1, 10, 100)
"""pT, GeV, of the tracks in the legend."""


def mean_images(jets: JetBatch, layers: Sequence[Layer]) -> np.ndarray:
    """Mean value in each pixel over all jets, (layers, SIDE, SIDE), in the units of the layers.

    The value of a cell of a coarser layer stands in all of its pixels.
    """
    images = np.zeros((len(layers), SIDE, SIDE))
    for i, layer in enumerate(layers):
        chosen = jets.layer == i
        cells = SIDE // layer.cell
        total = np.bincount(jets.pixel[chosen], weights=jets.value[chosen], minlength=cells**2)
        images[i] = np.kron(total.reshape(cells, cells), np.ones((layer.cell, layer.cell))) / len(jets)
    return images


def average(images: np.ndarray, layers: Sequence[Layer], jets: int) -> Figure:
    """One panel a layer of the mean images (layers, SIDE, SIDE) of so many jets."""
    columns = min(4, len(layers))
    rows = -(-len(layers) // columns)
    figure = Figure(figsize=(4.7 * columns, 4 * rows + 0.3), layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(layers) :]:
        axes.remove()
    for axes, image, layer in zip(panels.flat, images, layers, strict=False):
        cmap = colormaps["RdBu_r" if layer.signed else "viridis"]
        picture = axes.imshow(
            image, cmap=cmap.with_extremes(bad=cmap(0)), norm=colour_scale(image, layer.signed), **WINDOW
        )
        unit = layer.unit if layer.signed else f"{layer.unit} / pixel"
        bar = figure.colorbar(
            picture, cax=axes.inset_axes((1.04, 0, 0.05, 1)), extend="both" if layer.signed else "min"
        )
        bar.set_label(f"Mean ({unit})")
        if layer.signed:
            bar.formatter.set_useMathText(True)
            bar.formatter.set_powerlimits((-2, 4))
        axes.set_title(layer.title)
    label_window(figure, panels[0, 0])
    figure.get_layout_engine().set(w_pad=0.1)
    figure.suptitle(f"{LABEL}, mean of {jets:,} jets", x=0.01, horizontalalignment="left")
    return figure


def colour_scale(image: np.ndarray, signed: bool) -> Normalize:
    """Linear and symmetric around zero where signed, else logarithmic; the rarest values lie outside."""
    magnitude = np.abs(image[image != 0])
    if not len(magnitude):
        return Normalize(-1 if signed else 0, 1)
    if signed:
        highest = np.quantile(magnitude, 0.95)
        return Normalize(-highest, highest)
    return LogNorm(min(np.quantile(magnitude, 0.05), magnitude.max() / 10), magnitude.max())


def single_jets(images: Sequence[Mapping[str, np.ndarray]], mass: np.ndarray, pt: np.ndarray) -> Figure:
    """One panel a jet with its HCAL towers, ECAL crystals and tracks.

    `images` has for each jet the layers `track_pt`, `ecal` and `hcal`, where there are such, each (SIDE, SIDE) in GeV;
    `mass` and `pt` (jets,) are the generated mass and the pT of the jet, GeV.
    """
    columns = 3
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(16, 4.6 * rows + 1), layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(images) :]:
        axes.remove()
    pictures: dict = {}
    for axes, layers, jet_mass, jet_pt in zip(panels.flat, images, mass, pt, strict=False):
        pictures = draw_jet(axes, layers)
        axes.set_title(f"$m$ = {jet_mass:.0f} GeV, $p_T$ = {jet_pt:.0f} GeV")
    for name, picture in pictures.items():
        figure.colorbar(picture, ax=panels, label=name, extend="both", aspect=40, pad=0.02)
    for pt_of_track in TRACK_EXAMPLES:
        panels[0, 0].scatter([], [], **track_marker(pt_of_track), label=f"track, {pt_of_track} GeV")
    label_window(figure, panels[0, 0])
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    figure.legend(loc="upper right", borderaxespad=0, ncols=len(TRACK_EXAMPLES))
    return figure


def draw_jet(axes: Axes, layers: Mapping[str, np.ndarray]) -> dict:
    """HCAL below, ECAL above it, tracks as circles on top; the pictures for the colour bars, by their labels."""
    pictures = {}
    for name, title, cmap, limits in (
        ("hcal", "HCAL energy (GeV / tower)", PALE_GREYS, HCAL_RANGE),
        ("ecal", "ECAL energy (GeV / crystal)", "viridis_r", ECAL_RANGE),
    ):
        if name in layers:
            shown = np.ma.masked_less_equal(layers[name], 0)
            pictures[title] = axes.imshow(shown, cmap=cmap, norm=LogNorm(*limits), **WINDOW)
    if "track_pt" in layers:
        row, column = np.nonzero(layers["track_pt"] > 0)
        phi, eta = (column + 0.5) * PIXEL_PHI - HALF_PHI, (row + 0.5) * PIXEL_ETA - HALF_ETA
        axes.scatter(phi, eta, **track_marker(layers["track_pt"][row, column]))
    return pictures


def track_marker(pt: np.ndarray | float) -> dict:
    """A circle with an area that grows as the square root of the pT in GeV."""
    return {"s": 15 * np.sqrt(pt), "facecolors": "none", "edgecolors": "C1", "linewidths": 1}


def label_window(figure: Figure, panel: Axes) -> None:
    """The axes that all panels share with this one."""
    panel.minorticks_off()
    panel.xaxis.set_major_locator(MultipleLocator(0.5))
    panel.yaxis.set_major_locator(MultipleLocator(0.5))
    figure.supxlabel(r"$\Delta\phi$ from the middle of the window (rad)", fontsize="medium")
    figure.supylabel(r"$\Delta\eta$ from the middle of the window", fontsize="medium")
