"""The estimators that figures show, each with a look of its own."""

from collections.abc import Iterable
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D


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


ESTIMATORS = {
    "network": Look("network", "C0", "o", "-"),
    "trees_image": Look("trees", "C1", "s", "-"),
    "softdrop_mass": Look("soft-drop mass", "C2", "^", "--"),
    "jet_mass": Look("jet mass", "C3", "v", "--"),
    "constant_mae": Look("constant", "C4", "D", ":"),
}
"""By the names that scores have them by, in the order of the colours."""


def add_legend(figure: Figure, names: Iterable[str], *more: Line2D) -> None:
    """One legend for all panels, below them, of these estimators after what else is drawn."""
    looks = (ESTIMATORS[name]._asdict() for name in names)
    handles = [Line2D([], [], label=look.pop("title"), **look) for look in looks]
    figure.legend(handles=[*more, *handles], loc="outside lower center", ncols=len(more) + len(handles))
