"""Common style of all figures, and their output files."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import mplhep
import numpy as np
from cycler import cycler
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure

from topmass.files import BadInput, atomic_write

LABEL = r"$\mathbf{topmass}$ $\mathit{simulation}$"
"""Label of every figure: the jets come from a fast simulation, not from an experiment."""
RASTER_DPI = 150
ADJUSTED = {
    "font.size": 17,
    "axes.titlesize": "medium",
    "axes.linewidth": 1.3,
    "axes.unicode_minus": True,
    "xtick.major.size": 8,
    "xtick.minor.size": 4,
    "ytick.major.size": 8,
    "ytick.minor.size": 4,
    "lines.linewidth": 2,
    "lines.markersize": 6,
    "pdf.fonttype": 42,
}
"""Changes to mplhep's style, which is made for single figures of 10 × 10 inches."""


@contextmanager
def style_context(colours: Sequence[str]) -> Iterator[None]:
    """Apply the common style to figures made and saved in this block.

    Args:
        colours: Colours that become C0, C1, …

    Raises:
        BadInput: A colour is not valid.
    """
    for colour in colours:
        if not is_color_like(colour):
            raise BadInput(f"colours of the figures: '{colour}' is not a colour")
    look = {**ADJUSTED, "axes.prop_cycle": cycler(color=list(colours))}
    with matplotlib.style.context([mplhep.style.ROOT, look]):
        yield


class FigureData(NamedTuple):
    """Figure and its data.

    Attributes:
        figure: The figure.
        numbers: Columns of equal length by name; NaN for a missing value.
    """

    figure: Figure
    numbers: Mapping[str, Sequence]


def save(drawn: FigureData, png: Path) -> None:
    """Write the figure as PNG and PDF and its data as CSV, next to each other.

    The bytes depend only on the content: the files record neither date nor program.
    """
    figure = drawn.figure
    figure.draw_without_rendering()
    # The layout is computed; to repeat it for each file would take longer than all the drawing.
    figure.set_layout_engine(None)
    with atomic_write(png) as part:
        figure.savefig(part, format="png", dpi=RASTER_DPI, metadata={"Software": None})
    with atomic_write(png.with_suffix(".pdf")) as part:
        figure.savefig(part, format="pdf", metadata={"CreationDate": None})
    with atomic_write(png.with_suffix(".csv")) as part, part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(drawn.numbers)
        rows.writerows(map(written, zip(*drawn.numbers.values(), strict=True)))


def written(row: Sequence) -> list:
    """Return a row with six digits per number, more than a figure shows, and empty fields for NaN."""
    return [("" if each != each else f"{each:.6g}") if isinstance(each, float | np.floating) else each for each in row]
