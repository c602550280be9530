"""The estimators that figures show, each with a look of its own."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.figure import Figure


class Look(NamedTuple):
    """How an estimator is named and drawn; line and marker tell it from the others without its colour."""

    title: str
    color: str
    marker: str
    linestyle: str

    @property
    def line(self) -> dict:
        """For a line without markers."""
        return {"color": self.color, "linestyle": self.linestyle}

    @property
    def marked(self) -> dict:
        """For a line with markers."""
        return {"marker": self.marker, **self.line}


ESTIMATORS = {
    "network": Look("network", "C0", "o", "-"),
    "trees_subjets": Look("trees with subjets", "C1", "P", "-."),
    "trees_image": Look("trees", "C1", "s", "-"),
    "softdrop_mass": Look("soft-drop mass", "C2", "^", "--"),
    "jet_mass": Look("jet mass", "C3", "v", "--"),
    "constant_mae": Look("constant", "C4", "D", ":"),
}
"""By the names that scores have them by, in the order of the colours; both kinds of trees have that of trees."""


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """One legend for all panels, below them."""
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
