"""What a layer of the detector image is, and the grid that all layers lie on.

An image is a window of 125 × 125 pixels, rows in η and columns in φ. A pixel has the size of a crystal of the CMS
barrel ECAL; 5 × 5 pixels make one HCAL tower (CMS, JINST 3 S08004, 2008, chapters 4 and 5).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

SIDE = 125
"""Pixels a side of an image."""
TOWER = 5
"""Pixels a side of an HCAL tower."""
PIXEL_ETA = 0.087 / TOWER
"""Extent of a pixel in η."""
PIXEL_PHI = 2 * math.pi / 360
"""Extent of a pixel in φ, radians."""


class Layer(NamedTuple):
    """One layer of the image.

    `cell` is the side of one cell in pixels, so that the layer's own grid has SIDE / cell cells a side;
    `signed` says that values lie on both sides of zero.
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
"""All layers that are known, in the order of the public CMS files."""


def find_layer(name: str) -> Layer:
    """The layer of this name; KeyError if there is none."""
    return {layer.name: layer for layer in LAYERS}[name]


def find_layers(names: Sequence[str], cells: Sequence[int]) -> tuple[Layer, ...]:
    """Different layers with cells of these sides: their own, or one pixel. KeyError, ValueError if none are such."""
    known = [find_layer(name) for name in names]
    wrong = [layer.name for layer, cell in zip(known, cells, strict=True) if cell not in (1, layer.cell)]
    if wrong or len(set(names)) < len(known):
        raise ValueError(f"layers {', '.join(names)} have no cells of {cells} pixels a side, or come twice")
    return tuple(layer._replace(cell=cell) for layer, cell in zip(known, cells, strict=True))
