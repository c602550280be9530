"""Learning curves: errors of networks and GBDTs against the number of training jets."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from topmass.evaluation.comparison import read_comparison
from topmass.plotting.style import LABEL, FigureData

PANELS = (("mae", "MAE (GeV)", 1), ("mre", "MRE (%)", 100))
GBDT_CURVES = {"trees": ("GBDT, image moments", "--"), "trees_subjets": ("GBDT, subjet features", "-.")}
"""Label and line style of the GBDT curves, by their key in a comparison."""
ORACLE = "oracle: quarks in the window"


def draw_learning_curve(comparison: Path, oracle_mae: float | None) -> dict[str, FigureData]:
    """Draw MAE and MRE against training-set size, one curve per network and kind of GBDT, with the oracle's MAE."""
    return {"learning_curve": learning_curves(read_comparison(comparison)["rows"], oracle_mae)}


def learning_curves(rows: Sequence[Mapping], oracle_mae: float | None) -> FigureData:
    """Draw one curve per network, and one per kind of GBDT on the same jets.

    Args:
        rows: Rows of a comparison.
        oracle_mae: MAE (GeV) of the parton-level oracle, drawn as a horizontal line, or None.
    """
    points = curve_points(rows)
    networks = dict.fromkeys(row["training"]["network"] for row in rows)
    styles = {network: {"color": f"C{i}"} for i, network in enumerate(networks)}
    styles |= {curve: {"color": "0.4", "linestyle": linestyle} for curve, linestyle in GBDT_CURVES.values()}
    figure = Figure(figsize=(15, 6.5), layout="constrained")
    for axes, (metric, title, factor) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for curve, style in styles.items():
            chosen = points[(points["curve"] == curve) & (points["metric"] == metric)]
            if len(chosen):
                jets, values, deviations = (chosen[name].to_numpy(float) for name in ("jets", "value", "deviation"))
                # Error bars are one standard deviation over seeds.
                bars = factor * np.nan_to_num(deviations)
                axes.errorbar(jets, factor * values, yerr=bars, marker="o", capsize=4, label=curve, **style)
        if metric == "mae" and oracle_mae is not None:
            axes.axhline(oracle_mae, color="0.2", linestyle=":", linewidth=1, label=ORACLE)
        axes.set_ylabel(title)
        label_jets(axes, sorted(points["jets"].unique()))
        axes.legend()
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    if oracle_mae is not None:
        points.loc[len(points)] = {"curve": ORACLE, "metric": "mae", "value": oracle_mae}
    return FigureData(figure, points)


def curve_points(rows: Sequence[Mapping]) -> pd.DataFrame:
    """Return the points of all curves, sorted: `curve`, `metric`, number of `jets`, `value`, `deviation` over seeds."""
    points = []
    for row in rows:
        for metric, _, _ in PANELS:
            score, point = row["scores"][metric], {"metric": metric, "jets": row["training"]["jets"]["mean"]}
            curve = {"curve": row["training"]["network"], "value": score["mean"], "deviation": score["deviation"]}
            points.append(curve | point)
            for key, (title, _) in GBDT_CURVES.items():
                if row.get(key):
                    points.append(point | {"curve": title, "value": row[key][metric], "deviation": np.nan})
    columns = ["curve", "metric", "jets", "value", "deviation"]
    table = pd.DataFrame(points, columns=columns).astype(dict.fromkeys(columns[2:], float))
    # Experiments with the same training jets share their GBDTs.
    return table.drop_duplicates().sort_values(columns, ignore_index=True)


def label_jets(axes: Axes, jets: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic, with ticks at the numbers of jets that are far enough apart."""
    axes.set_xscale("log")
    ticks = [number for i, number in enumerate(jets) if i == 0 or number > 1.3 * jets[i - 1]]
    axes.set_xticks(ticks, [f"{float(f'{number / 1000:.3g}'):,g}" for number in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Training jets (thousands)")
    axes.grid(color="0.9")
