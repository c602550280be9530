"""Maps of a metric over mass and pT."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from topmass.plotting.style import LABEL, FigureData


def resolution_map(
    mass: Sequence[tuple[float, float]], pt: Sequence[tuple[float, float]], resolution: np.ndarray, jets: np.ndarray
) -> FigureData:
    """Draw the network's resolution and the number of jets in N cells that fill a grid in mass and pT.

    Args:
        mass: Mass range of each cell, GeV.
        pt: pT range of each cell, GeV.
        resolution: Resolution `(N,)`, a fraction; cells with NaN are grey.
        jets: Number of jets `(N,)`.
    """
    edges = [np.unique(spans) for spans in (mass, pt)]
    place = tuple(np.searchsorted(each, np.array(spans)[:, 0]) for each, spans in zip(edges, (mass, pt), strict=True))
    grid = np.full((len(edges[0]) - 1, len(edges[1]) - 1), np.nan)
    grid[place] = 100 * resolution
    figure = Figure(figsize=(12.5, 8), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("0.93")
    top = max(np.nanmax(grid, initial=0), 1)
    picture = axes.pcolormesh(*edges, np.ma.masked_invalid(grid.T), cmap=colormaps["Blues"], vmin=0, vmax=1.15 * top)
    figure.colorbar(picture, ax=axes, label="Resolution of the network (%)", aspect=30, pad=0.02)
    for x, y, value, number in zip(np.mean(mass, axis=1), np.mean(pt, axis=1), 100 * resolution, jets, strict=True):
        text = f"{value:.0f} %\n" if np.isfinite(value) else "no number\n"
        dark = np.isfinite(value) and value > 0.75 * top
        axes.text(
            x, y, f"{text}{number:,} {'jet' if number == 1 else 'jets'}", ha="center", va="center", fontsize="small",
            color="white" if dark else "black",
        )  # fmt: skip
    axes.minorticks_off()
    axes.set_xticks(edges[0])
    axes.set_yticks(edges[1])
    axes.set(xlabel="Generated top mass (GeV)", ylabel="Jet $p_T$ (GeV)")
    axes.set_title(LABEL, loc="left")
    spans = {f"{name}_{end}": [span[i] for span in spans] for name, spans in (("mass", mass), ("pt", pt))
             for i, end in enumerate(("start", "end"))}  # fmt: skip
    return FigureData(figure, {**spans, "jets": jets, "resolution": resolution})
