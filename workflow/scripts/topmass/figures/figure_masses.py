"""Figure of the generated mass after flattening."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from topmass.console import log_info
from topmass.files import BadInput, file_digest
from topmass.plotting.style import LABEL, FigureData
from topmass.preprocessing.shards import MASS_SCALE, read_jet_arrays
from topmass.preprocessing.statistics import Statistics

BINS = 20
"""Number of mass bins if the mass is not flattened, so that the statistics define no bins."""
BEFORE = "before flattening"
MARKERS = "osD^v"


def draw_masses(
    train: Sequence[Path], validation: Sequence[Path], test: Sequence[Path], statistics: Path
) -> dict[str, FigureData]:
    """Draw the masses of the shards of each split, with the results of the flattening.

    Raises:
        BadInput: The statistics lack a split.
    """
    dataset = Statistics.load(statistics)
    jets = {}
    for split, paths in {"train": train, "validation": validation, "test": test}.items():
        if split not in dataset.kept:
            raise BadInput(f"{statistics}: the split '{split}' is missing")
        mass, weight = read_jet_arrays(paths, ("mass", "weight"), file_digest(statistics))
        name = "training" if split == "train" else split
        jets[name] = (mass, weight, flattening_note(len(mass), dataset.kept[split]))
        log_info(f"{split}: {len(mass):,} jets")
    edges = dataset.flattening.mass_edges
    if len(edges) > 2:
        before = (1 / dataset.flattening.keep_probability).sum(axis=1)
    else:
        edges, before = np.linspace(edges[0], edges[-1], BINS + 1), None
    return {"masses": mass_distribution(jets, edges, before)}


def flattening_note(jets: int, result: Mapping[str, float]) -> str:
    """Return a note with the number of jets of a split, the fraction kept by flattening, and χ²/ndf."""
    degrees = result["degrees_of_freedom"]
    flatness = rf", $\chi^2$/ndf = {result['chi2']:.0f}/{degrees}" if degrees else ""
    return f"{jets:,} jets, {result['share']:.0%} kept{flatness}"


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
    bins = {"start": edges[:-1], "end": edges[1:]}
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    handles, tables = [], []
    for i, (name, (mass, weight, note)) in enumerate(jets.items()):
        counts, squares = (np.histogram(mass, edges, weights=weight**power)[0] for power in (1, 2))
        unit = 1e3 / (counts.sum() * width)
        # Side by side in the bin, so that no error bar hides another.
        x = edges[:-1] + width * (i + 1) / (len(jets) + 1)
        error = np.sqrt(np.maximum(squares, 1)) * unit
        handles.append(axes.errorbar(x, counts * unit, error, fmt=MARKERS[i], label=f"{name}: {note}"))
        tables.append(pd.DataFrame({"split": name, **bins, "density": counts * unit, "error": error}))
    if before is not None:
        density = 1e3 * before / (before.sum() * width)
        step = {"color": "0.25", "drawstyle": "steps-post", "label": BEFORE}
        handles += axes.plot(edges, np.append(density, density[-1]), "--", **step)
        tables.append(pd.DataFrame({"split": BEFORE, **bins, "density": density, "error": np.nan}))
    table = pd.concat(tables)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.45 * (table["density"] + table["error"].fillna(0)).max()))
    axes.set_xlabel("Generated top mass $m$ (GeV)")
    axes.set_ylabel("Density of jets ($10^{-3}$ / GeV)")
    axes.tick_params(axis="x", which="both", top=False)
    upper = axes.secondary_xaxis("top", functions=(lambda m: m / MASS_SCALE, lambda target: target * MASS_SCALE))
    upper.set_xlabel(f"Target $m$ / {MASS_SCALE:g} GeV")
    axes.legend(handles=handles, title=LABEL, alignment="left", loc="upper left")
    return FigureData(figure, table)
