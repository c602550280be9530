"""Learning curves: errors against the number of training jets."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from topmass.plotting.style import LABEL, FigureData

PANELS = (("mae", "MAE (GeV)", 1), ("mre", "MRE (%)", 100))
TREES = {"trees": ("GBDT, image moments", "--"), "trees_subjets": ("GBDT, subjet features", "-.")}
"""Label and line style of the GBDT curves, by their key in a comparison."""
FLOOR = "floor: quarks in the window"


class CurvePoint(NamedTuple):
    """Metric at one training-set size.

    Attributes:
        curve: Label of the curve.
        metric: Name of the metric.
        jets: Number of training jets; NaN for a value that does not depend on it.
        value: Mean of the metric over seeds.
        deviation: Standard deviation over seeds; NaN for a single seed.
    """

    curve: str
    metric: str
    jets: float
    value: float
    deviation: float


def learning_curves(rows: Sequence[Mapping], floor: float | None) -> FigureData:
    """Draw one curve per network, and one per kind of GBDT on the same jets.

    Args:
        rows: Rows of a comparison.
        floor: MAE (GeV) of the parton-level oracle, drawn as a horizontal line, or None.
    """
    points = sorted({point for row in rows for point in curve_points(row)})
    curves = [*dict.fromkeys(row["training"]["network"] for row in rows)]
    figure = Figure(figsize=(15, 6.5), layout="constrained")
    for axes, (metric, title, factor) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        looks = {curve: {"color": f"C{i}"} for i, curve in enumerate(curves)}
        looks |= {curve: {"color": "0.4", "linestyle": line} for curve, line in TREES.values()}
        for curve, look in looks.items():
            here = [point for point in points if (point.curve, point.metric) == (curve, metric)]
            draw_curve(axes, curve, here, factor, look)
        if metric == "mae" and floor is not None:
            axes.axhline(floor, color="0.2", linestyle=":", linewidth=1, label=FLOOR)
        axes.set_ylabel(title)
        label_jets(axes, sorted({point.jets for point in points}))
        axes.legend()
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    if floor is not None:
        points.append(CurvePoint(FLOOR, "mae", np.nan, floor, np.nan))
    columns = zip(*points, strict=True)
    return FigureData(figure, dict(zip(CurvePoint._fields, columns, strict=True)))


def curve_points(row: Mapping) -> Iterator[CurvePoint]:
    """Yield the points of one experiment."""
    jets = row["training"]["jets"]["mean"]
    for metric, _, _ in PANELS:
        score = row["scores"][metric]
        deviation = np.nan if score["deviation"] is None else score["deviation"]
        yield CurvePoint(row["training"]["network"], metric, jets, score["mean"], deviation)
        for key, (curve, _) in TREES.items():
            if row.get(key):
                yield CurvePoint(curve, metric, jets, row[key][metric], np.nan)


def draw_curve(axes: Axes, label: str, points: Sequence[CurvePoint], factor: float, look: Mapping) -> None:
    """Draw one curve, with error bars of one standard deviation over seeds."""
    if points:
        _, _, jets, values, deviations = (np.array(column) for column in zip(*points, strict=True))
        bars = factor * np.nan_to_num(deviations.astype(float))
        axes.errorbar(jets, factor * values, yerr=bars, marker="o", capsize=4, label=label, **look)


def label_jets(axes: Axes, jets: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic, with ticks at the numbers of jets that are far enough apart."""
    axes.set_xscale("log")
    shown = [number for i, number in enumerate(jets) if i == 0 or number > 1.3 * jets[i - 1]]
    axes.set_xticks(shown, [f"{float(f'{number / 1000:.3g}'):,g}" for number in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Jets trained on (thousands)")
    axes.grid(color="0.9")
