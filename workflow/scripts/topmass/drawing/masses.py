"""Figures of the distribution of the generated mass."""

from collections.abc import Mapping
from itertools import repeat

import numpy as np
from matplotlib.figure import Figure

from topmass.drawing.style import LABEL, Drawn
from topmass.preprocessing.shards import MASS_SCALE

MARKERS = "osD^v"


def mass_distribution(
    jets: Mapping[str, tuple[np.ndarray, np.ndarray, str]], edges: np.ndarray, before: np.ndarray | None
) -> Drawn:
    """Density of the mass of several sets of jets in bins with these edges.

    `jets` has masses (N,), GeV, weights (N,) and a note for the legend by name; bars are Poisson errors, of one jet at
    least. `before`, (bins,), is proportional to the number of jets in each bin before unbiasing, or None for no such
    line.
    """
    width = np.diff(edges)
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    handles, highest, rows = [], 0.0, []
    for i, (name, (mass, weight, note)) in enumerate(jets.items()):
        counts, squares = (np.histogram(mass, edges, weights=weight**power)[0] for power in (1, 2))
        unit = 1e3 / (counts.sum() * width)
        # Beside each other in the bin, so that no error bar hides another.
        middle = edges[:-1] + width * (i + 1) / (len(jets) + 1)
        error = np.sqrt(np.maximum(squares, 1)) * unit
        handles.append(axes.errorbar(middle, counts * unit, error, fmt=MARKERS[i], label=f"{name}: {note}"))
        highest = max(highest, (counts * unit + error).max())
        rows += zip(repeat(name), edges[:-1], edges[1:], counts * unit, error)
    if before is not None:
        density = 1e3 * before / (before.sum() * width)
        handles += axes.plot(
            edges, np.append(density, density[-1]), "--", color="0.25", drawstyle="steps-post", label="before unbiasing"
        )
        highest = max(highest, density.max())
        rows += zip(repeat("before unbiasing"), edges[:-1], edges[1:], density, repeat(np.nan))
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.45 * highest))
    axes.set_xlabel("Generated top mass $m$ (GeV)")
    axes.set_ylabel("Density of jets ($10^{-3}$ / GeV)")
    axes.tick_params(axis="x", which="both", top=False)
    upper = axes.secondary_xaxis("top", functions=(lambda m: m / MASS_SCALE, lambda target: target * MASS_SCALE))
    upper.set_xlabel(f"Target $m$ / {MASS_SCALE:g} GeV")
    axes.legend(handles=handles, title=LABEL, alignment="left", loc="upper left")
    names = ("split", "start", "end", "density", "error")
    return Drawn(figure, dict(zip(names, zip(*rows, strict=True), strict=True)))
