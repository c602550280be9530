"""Distribution of the generated mass."""

from collections.abc import Mapping
from itertools import repeat

import numpy as np
from matplotlib.figure import Figure

from topmass.plotting.style import LABEL, FigureData
from topmass.preprocessing.shards import MASS_SCALE

MARKERS = "osD^v"


def mass_distribution(
    jets: Mapping[str, tuple[np.ndarray, np.ndarray, str]], edges: np.ndarray, before: np.ndarray | None
) -> FigureData:
    """Draw the mass density of several sets of jets, with Poisson errors of at least one jet.

    Args:
        jets: Masses `(N,)` in GeV, weights `(N,)` and a note for the legend, by name.
        edges: Edges of the mass bins, GeV.
        before: Numbers of jets in each bin before flattening `(bins,)`, up to a factor; None for no such line.
    """
    width = np.diff(edges)
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    handles, highest, rows = [], 0.0, []
    for i, (name, (mass, weight, note)) in enumerate(jets.items()):
        counts, squares = (np.histogram(mass, edges, weights=weight**power)[0] for power in (1, 2))
        unit = 1e3 / (counts.sum() * width)
        # Side by side in the bin, so that no error bar hides another.
        middle = edges[:-1] + width * (i + 1) / (len(jets) + 1)
        error = np.sqrt(np.maximum(squares, 1)) * unit
        handles.append(axes.errorbar(middle, counts * unit, error, fmt=MARKERS[i], label=f"{name}: {note}"))
        highest = max(highest, (counts * unit + error).max())
        rows += zip(repeat(name), edges[:-1], edges[1:], counts * unit, error)
    if before is not None:
        density = 1e3 * before / (before.sum() * width)
        handles += axes.plot(
            edges,
            np.append(density, density[-1]),
            "--",
            color="0.25",
            drawstyle="steps-post",
            label="before flattening",
        )
        highest = max(highest, density.max())
        rows += zip(repeat("before flattening"), edges[:-1], edges[1:], density, repeat(np.nan))
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.45 * highest))
    axes.set_xlabel("Generated top mass $m$ (GeV)")
    axes.set_ylabel("Density of jets ($10^{-3}$ / GeV)")
    axes.tick_params(axis="x", which="both", top=False)
    upper = axes.secondary_xaxis("top", functions=(lambda m: m / MASS_SCALE, lambda target: target * MASS_SCALE))
    upper.set_xlabel(f"Target $m$ / {MASS_SCALE:g} GeV")
    axes.legend(handles=handles, title=LABEL, alignment="left", loc="upper left")
    names = ("split", "start", "end", "density", "error")
    return FigureData(figure, dict(zip(names, zip(*rows, strict=True), strict=True)))
