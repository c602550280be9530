"""The figure of errors by the number of jets that were trained on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from topmass.drawing.style import LABEL, Drawn

PANELS = (("mae", "MAE (GeV)", 1), ("mre", "MRE (%)", 100))
TREES = {"trees": ("trees on sums over the image", "--"), "trees_subjets": ("trees on sums and subjets", "-.")}
"""By their key in a comparison: curve and line of trees."""
FLOOR = "floor: quarks in the window"


class Point(NamedTuple):
    """A metric of what was trained on so many jets, NaN for any number, and its deviation over seeds, NaN of one."""

    curve: str
    metric: str
    jets: float
    value: float
    deviation: float


def learning_curves(rows: Sequence[Mapping], floor: float | None) -> Drawn:
    """A curve for each network, and for each kind of boosted trees on the same jets; `rows` are those of a comparison.

    The MAE `floor`, GeV, is a line of any number of jets; there is none for None.
    """
    points = sorted({point for row in rows for point in points_of(row)})
    curves = [*dict.fromkeys(row["training"]["network"] for row in rows)]
    figure = Figure(figsize=(15, 6.5), layout="constrained")
    for axes, (metric, title, factor) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        looks = {curve: {"color": f"C{i}"} for i, curve in enumerate(curves)}
        looks |= {curve: {"color": "0.4", "linestyle": line} for curve, line in TREES.values()}
        for curve, look in looks.items():
            here = [point for point in points if (point.curve, point.metric) == (curve, metric)]
            draw(axes, curve, here, factor, look)
        if metric == "mae" and floor is not None:
            axes.axhline(floor, color="0.2", linestyle=":", linewidth=1, label=FLOOR)
        axes.set_ylabel(title)
        label_jets(axes, sorted({point.jets for point in points}))
        axes.legend()
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    if floor is not None:
        points.append(Point(FLOOR, "mae", np.nan, floor, np.nan))
    columns = zip(*points, strict=True)
    return Drawn(figure, dict(zip(Point._fields, columns, strict=True)))


def points_of(row: Mapping) -> Iterator[Point]:
    """What an experiment adds to the curves."""
    jets = row["training"]["jets"]["mean"]
    for metric, _, _ in PANELS:
        score = row["scores"][metric]
        deviation = np.nan if score["deviation"] is None else score["deviation"]
        yield Point(row["training"]["network"], metric, jets, score["mean"], deviation)
        for key, (curve, _) in TREES.items():
            if row.get(key):
                yield Point(curve, metric, jets, row[key][metric], np.nan)


def draw(axes: Axes, label: str, points: Sequence[Point], factor: float, look: Mapping) -> None:
    """One curve, with a bar of one standard deviation where there are seeds."""
    if points:
        _, _, jets, values, deviations = (np.array(column) for column in zip(*points, strict=True))
        bars = factor * np.nan_to_num(deviations.astype(float))
        axes.errorbar(jets, factor * values, yerr=bars, marker="o", capsize=4, label=label, **look)


def label_jets(axes: Axes, jets: Sequence[float]) -> None:
    """A logarithmic axis with the numbers of jets themselves below it, those that have room."""
    axes.set_xscale("log")
    shown = [number for i, number in enumerate(jets) if i == 0 or number > 1.3 * jets[i - 1]]
    axes.set_xticks(shown, [f"{float(f'{number / 1000:.3g}'):,g}" for number in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Jets trained on (thousands)")
    axes.grid(color="0.9")
