"""Common style of all figures and estimators, and the output files of figures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import mplhep
import pandas as pd
from cycler import cycler
from matplotlib.artist import Artist
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


class EstimatorStyle(NamedTuple):
    """Title and line style of an estimator; the pair of line and marker is unique even without colour."""

    title: str
    color: str
    marker: str
    linestyle: str

    @property
    def line(self) -> dict:
        """Keyword arguments of a line without markers."""
        return {"color": self.color, "linestyle": self.linestyle}

    @property
    def marked(self) -> dict:
        """Keyword arguments of a line with markers."""
        return {"marker": self.marker, **self.line}


ESTIMATORS = {
    "network": EstimatorStyle("network", "C0", "o", "-"),
    "trees_subjets": EstimatorStyle("GBDT with subjets", "C1", "P", "-."),
    "trees_image": EstimatorStyle("GBDT", "C1", "s", "-"),
    "softdrop_mass": EstimatorStyle("soft-drop mass", "C2", "^", "--"),
    "jet_mass": EstimatorStyle("jet mass", "C3", "v", "--"),
    "constant_mae": EstimatorStyle("constant", "C4", "D", ":"),
}
"""Styles of the estimators that figures draw, by name in scores; the others appear in tables only."""


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
    settings = {**ADJUSTED, "axes.prop_cycle": cycler(color=list(colours))}
    with matplotlib.style.context([mplhep.style.ROOT, settings]):
        yield


class FigureData(NamedTuple):
    """Figure and its data.

    Attributes:
        figure: The figure.
        data: Table, or columns of equal length by name; NaN for a missing value.
    """

    figure: Figure
    data: pd.DataFrame | Mapping[str, Sequence]


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Add one legend for all panels, below them."""
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def draw_and_save(
    draw: Callable[..., Mapping[str, FigureData]], inputs: Mapping, files: Mapping[str, Path], colours: Sequence[str]
) -> None:
    """Call `draw(**inputs)` in the common style, and save its figures.

    Args:
        draw: Function that returns figures by name.
        inputs: Arguments of `draw`.
        files: PNG file of each figure.
        colours: Colours that become C0, C1, …

    Raises:
        BadInput: A colour is not valid, or `draw` cannot use its inputs.
    """
    with style_context(colours):
        for name, drawn in draw(**inputs).items():
            save(drawn, files[name])


def save(drawn: FigureData, png: Path) -> None:
    """Write the figure as PNG and PDF and its data as CSV, next to each other.

    The bytes depend only on the content: the files record neither date nor program. Numbers in the CSV have six digits,
    more than a figure shows.
    """
    figure = drawn.figure
    figure.draw_without_rendering()
    # The layout is computed; to repeat it for each file would take longer than all the drawing.
    figure.set_layout_engine(None)
    with atomic_write(png) as part:
        figure.savefig(part, format="png", dpi=RASTER_DPI, metadata={"Software": None})
    with atomic_write(png.with_suffix(".pdf")) as part:
        figure.savefig(part, format="pdf", metadata={"CreationDate": None})
    with atomic_write(png.with_suffix(".csv")) as part:
        pd.DataFrame(drawn.data).to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
