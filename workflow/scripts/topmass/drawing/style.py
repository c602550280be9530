"""The look that all figures share, and the files that they become."""

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

from topmass.files import BadInput, whole

LABEL = r"$\mathbf{topmass}$ $\mathit{simulation}$"
"""Stands on every figure: these are jets of a fast simulation, not of an experiment."""
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
"""What differs from mplhep's style, which is made for single figures of 10 × 10 inches."""


@contextmanager
def styled(colours: Sequence[str]) -> Iterator[None]:
    """Figures made and saved in this block have the common look; `colours` become C0, C1, … BadInput if one is none."""
    for colour in colours:
        if not is_color_like(colour):
            raise BadInput(f"colours of the figures: '{colour}' is not a colour")
    look = {**ADJUSTED, "axes.prop_cycle": cycler(color=list(colours))}
    with matplotlib.style.context([mplhep.style.ROOT, look]):
        yield


class Drawn(NamedTuple):
    """A figure, and the numbers behind it: columns of one length by their names, NaN where there is no number."""

    figure: Figure
    numbers: Mapping[str, Sequence]


def save(drawn: Drawn, png: Path) -> None:
    """Write the figure as PNG, and beside it as PDF and its numbers as CSV.

    The bytes depend on what is drawn alone: no date, no program that wrote it.
    """
    figure = drawn.figure
    figure.draw_without_rendering()
    # The layout is found; to find it again for each file would take longer than all the drawing.
    figure.set_layout_engine(None)
    with whole(png) as part:
        figure.savefig(part, format="png", dpi=RASTER_DPI, metadata={"Software": None})
    with whole(png.with_suffix(".pdf")) as part:
        figure.savefig(part, format="pdf", metadata={"CreationDate": None})
    with whole(png.with_suffix(".csv")) as part, part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(drawn.numbers)
        rows.writerows(map(written, zip(*drawn.numbers.values(), strict=True)))


def written(row: Sequence) -> list:
    """Six digits of a number are more than a figure shows; what is no number stays empty."""
    return [("" if each != each else f"{each:.6g}") if isinstance(each, float | np.floating) else each for each in row]
