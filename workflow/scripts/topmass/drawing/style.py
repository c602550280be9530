"""The look that all figures share, and the files that they become."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import mplhep
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


def save(figure: Figure, png: Path, pdf: Path) -> None:
    """Write the figure twice. The bytes depend on what is drawn alone: no date, no program that wrote it."""
    figure.draw_without_rendering()
    # The layout is found; to find it again for each file would take longer than all the drawing.
    figure.set_layout_engine(None)
    with whole(png) as part:
        figure.savefig(part, format="png", dpi=RASTER_DPI, metadata={"Software": None})
    with whole(pdf) as part:
        figure.savefig(part, format="pdf", metadata={"CreationDate": None})
