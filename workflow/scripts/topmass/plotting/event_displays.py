"""Event displays of single jets."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure

from topmass.jets import JetBatch
from topmass.layers import SIDE, Layer
from topmass.plotting.mean_images import WINDOW, centres, label_window
from topmass.plotting.style import LABEL, FigureData

ECAL_RANGE, HCAL_RANGE = (0.1, 100), (0.5, 200)
"""Energy ranges of the colour scales, GeV."""
PALE_GREYS = ListedColormap(colormaps["Greys"](np.linspace(0.1, 0.6, 256)))
"""Colour map of the HCAL, pale so that the ECAL and the tracks stand out."""
TRACK_EXAMPLES = (1, 10, 100)
"""pT of the tracks in the legend, GeV."""


def energies(jet: JetBatch, layers: Sequence[Layer]) -> dict[str, np.ndarray]:
    """Return the images of one jet in GeV per cell, by layer, each on the grid of its layer.

    Args:
        jet: Batch of one jet.
        layers: Layers of the jet table; those with another unit than GeV are skipped.
    """
    images = {}
    for i, layer in enumerate(layers):
        if layer.unit == "GeV":
            side, chosen = SIDE // layer.cell, jet.layer == i
            values = np.bincount(jet.pixel[chosen], weights=jet.value[chosen], minlength=side**2)
            # Values are per pixel, and a cell has `layer.cell`² pixels.
            images[layer.name] = values.reshape(side, side) * layer.cell**2
    return images


def event_displays(
    images: Sequence[Mapping[str, np.ndarray]], titles: Sequence[str], variables: Mapping[str, np.ndarray], columns: int
) -> FigureData:
    """Draw one panel per jet with its HCAL towers, ECAL crystals and tracks.

    Args:
        images: Images of each jet, as from `energies`; the layers `track_pt`, `ecal` and `hcal` are drawn if present.
        titles: Titles of the panels.
        variables: Jet variables `(jets,)` that are added to the data of the figure.
        columns: Number of panels per row.
    """
    rows = -(-len(images) // columns)
    row_height = 12.5 / columns + 0.15 + 0.25 * (1 + max(title.count("\n") for title in titles))
    figure = Figure(figsize=(16, row_height * rows + 1), layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(images) :]:
        axes.remove()
    pictures: dict = {}
    for axes, layers, title in zip(panels.flat, images, titles, strict=False):
        pictures = draw_jet(axes, layers)
        axes.set_title(title, fontsize="medium" if columns < 4 else "small")
    for name, picture in pictures.items():
        figure.colorbar(picture, ax=panels, label=name, extend="both", aspect=40, pad=0.02)
    for pt_of_track in TRACK_EXAMPLES:
        panels[0, 0].scatter([], [], **track_marker(pt_of_track), label=f"track, {pt_of_track} GeV")
    label_window(figure, panels[0, 0])
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    figure.legend(loc="upper right", borderaxespad=0, ncols=len(TRACK_EXAMPLES))
    return FigureData(figure, cell_table(images, variables))


def cell_table(images: Sequence[Mapping[str, np.ndarray]], variables: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the non-zero cells of all jets, one row each, with the variables of the jet."""
    tables = [pd.DataFrame(columns=["jet", *variables, "layer", "delta_eta", "delta_phi", "GeV"])]
    for i, layers in enumerate(images):
        jet = {"jet": i + 1} | {name: values[i] for name, values in variables.items()}
        for name, image in layers.items():
            row, column = np.nonzero(image)
            eta, phi = centres(row, column, len(image))
            cells = {"layer": name, "delta_eta": eta, "delta_phi": phi, "GeV": image[row, column]}
            tables.append(pd.DataFrame(jet | cells))
    return pd.concat(tables).infer_objects()


def draw_jet(axes: Axes, layers: Mapping[str, np.ndarray]) -> dict:
    """Draw the HCAL, the ECAL on top of it, and tracks as circles; return the images by colour-bar label."""
    pictures = {}
    for name, title, cmap, limits in (
        ("hcal", "HCAL energy (GeV / tower)", PALE_GREYS, HCAL_RANGE),
        ("ecal", "ECAL energy (GeV / crystal)", "viridis_r", ECAL_RANGE),
    ):
        if name in layers:
            positive = np.ma.masked_less_equal(layers[name], 0)
            pictures[title] = axes.imshow(positive, cmap=cmap, norm=LogNorm(*limits), **WINDOW)
    if "track_pt" in layers:
        row, column = np.nonzero(layers["track_pt"] > 0)
        eta, phi = centres(row, column, SIDE)
        axes.scatter(phi, eta, **track_marker(layers["track_pt"][row, column]))
    return pictures


def track_marker(pt: np.ndarray | float) -> dict:
    """Return a circle whose area is proportional to the square root of the pT (GeV)."""
    return {"s": 15 * np.sqrt(pt), "facecolors": "none", "edgecolors": "C1", "linewidths": 1}
