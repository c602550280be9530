"""Titles and line styles of the estimators in figures."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.figure import Figure


class EstimatorStyle(NamedTuple):
    """Title and line style of an estimator; line and marker are unique even without colour."""

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
"""Styles by the name of the estimator in scores, in colour order; both kinds of GBDTs share a colour."""


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Add one legend for all panels, below them."""
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
