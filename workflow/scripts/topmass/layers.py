"""Layers of the detector image, and their common grid.

An image is a window of 125 × 125 pixels, rows in η and columns in φ. A pixel has the size of a crystal of the CMS
barrel ECAL; 5 × 5 pixels make one HCAL tower (CMS, JINST 3 S08004, 2008, chapters 4 and 5).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

SIDE = 125
"""Pixels per side of an image."""
TOWER = 5
"""Pixels per side of an HCAL tower."""
ETA, PHI = 1, 2
"""Bits of a reflection η → −η or φ → −φ of a jet at the centre of its window; 0 means none."""
PIXEL_ETA = 0.087 / TOWER
"""Size of a pixel in η."""
PIXEL_PHI = 2 * math.pi / 360
"""Size of a pixel in φ, radians."""


class Layer(NamedTuple):
    """One layer of the image.

    Attributes:
        name: Name in configuration and files.
        unit: Unit of the values.
        cell: Side of a cell in pixels; the layer's own grid has SIDE / cell cells per side.
        signed: Whether values have both signs.
        title: Title in figures.
    """

    name: str
    unit: str
    cell: int = 1
    signed: bool = False
    title: str = ""


LAYERS = (
    Layer("track_pt", "GeV", title="track $p_T$"),
    Layer("track_dz", "cm", signed=True, title="track $d_z$"),
    Layer("track_d0", "cm", signed=True, title="track $d_0$"),
    Layer("ecal", "GeV", title="ECAL"),
    Layer("hcal", "GeV", cell=TOWER, title="HCAL"),
    Layer("bpix1", "hits", title="pixel barrel 1"),
    Layer("bpix2", "hits", title="pixel barrel 2"),
    Layer("bpix3", "hits", title="pixel barrel 3"),
)
"""All known layers, in the order of the public CMS files."""


def find_layer(name: str) -> Layer:
    """Return the layer of this name.

    Raises:
        KeyError: There is no such layer.
    """
    return {layer.name: layer for layer in LAYERS}[name]


def find_layers(names: Sequence[str], cells: Sequence[int]) -> tuple[Layer, ...]:
    """Return different layers with these cells.

    Args:
        names: Names of the layers.
        cells: Sides of the cells in pixels: that of the layer in `LAYERS`, or 1.

    Raises:
        KeyError: A name is unknown.
        ValueError: A layer has no such cells, or is repeated.
    """
    known = [find_layer(name) for name in names]
    wrong = [layer.name for layer, cell in zip(known, cells, strict=True) if cell not in (1, layer.cell)]
    if wrong or len(set(names)) < len(known):
        raise ValueError(f"layers {', '.join(names)} have no cells of {cells} pixels a side, or come twice")
    return tuple(layer._replace(cell=cell) for layer, cell in zip(known, cells, strict=True))
