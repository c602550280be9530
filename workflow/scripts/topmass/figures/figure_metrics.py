"""Figures of the metrics in bins of mass, pT and both."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from topmass.evaluation.score import read_metrics
from topmass.evaluation.score_frame import score_frame
from topmass.plotting.binned_metrics import X_AXES, dependence, metric_points
from topmass.plotting.style import LABEL, FigureData


def draw_metrics(metrics: Path) -> dict[str, FigureData]:
    """Draw response, resolution and bias (`response`), MAE and MRE (`mean_errors`), and the resolution map."""
    content = read_metrics(metrics)
    scores, level = score_frame(content["regions"]), content["bootstrap"]["level"]
    points = metric_points(scores, X_AXES)
    return {
        "response": dependence(points, ["response", "resolution", "bias"], level),
        "mean_errors": dependence(points, ["mae", "mre"], level),
        "resolution_map": resolution_cells(scores),
    }


def resolution_cells(scores: pd.DataFrame) -> FigureData:
    """Draw the network's resolution and the number of jets in cells that fill a grid in mass and pT.

    Args:
        scores: Scores in long form, as from `score_frame`; cells with an undefined resolution are grey.
    """
    chosen = (scores["by"] == "mass and pt") & (scores["estimator"] == "network") & (scores["metric"] == "resolution")
    edge_columns = ["mass_low", "mass_high", "pt_low", "pt_high"]
    cells = scores.loc[chosen, [*edge_columns, "jets", "value"]].infer_objects()
    edges = [np.unique(cells[[f"{name}_low", f"{name}_high"]]) for name in ("mass", "pt")]
    grid = np.full((len(edges[0]) - 1, len(edges[1]) - 1), np.nan)
    grid[np.searchsorted(edges[0], cells["mass_low"]), np.searchsorted(edges[1], cells["pt_low"])] = (
        100 * cells["value"]
    )
    figure = Figure(figsize=(12.5, 8), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("0.93")
    top = max(np.nanmax(grid, initial=0), 1)
    picture = axes.pcolormesh(*edges, np.ma.masked_invalid(grid.T), cmap=colormaps["Blues"], vmin=0, vmax=1.15 * top)
    figure.colorbar(picture, ax=axes, label="Resolution of the network (%)", aspect=30, pad=0.02)
    for cell in cells.itertuples():
        percent = 100 * cell.value
        text = f"{percent:.0f} %\n" if np.isfinite(percent) else "no number\n"
        axes.text(
            (cell.mass_low + cell.mass_high) / 2, (cell.pt_low + cell.pt_high) / 2,
            f"{text}{cell.jets:,} {'jet' if cell.jets == 1 else 'jets'}", ha="center", va="center", fontsize="small",
            color="white" if percent > 0.75 * top else "black",
        )  # fmt: skip
    axes.minorticks_off()
    axes.set_xticks(edges[0])
    axes.set_yticks(edges[1])
    axes.set(xlabel="Generated top mass (GeV)", ylabel="Jet $p_T$ (GeV)")
    axes.set_title(LABEL, loc="left")
    columns = {"value": "resolution"} | {
        name: name.replace("low", "start").replace("high", "end") for name in edge_columns
    }
    return FigureData(figure, cells.rename(columns=columns))
