"""Figure of the estimates of the mass on a sample that the network was not trained on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from topmass.evaluation.sample_jets import SampleJets, effective_number
from topmass.evaluation.sample_score import HALF_WINDOW, MASSES, SINGLE, TOP_MASS, read_sample_scores
from topmass.evaluation.score_frame import score_frame
from topmass.plotting.binned_metrics import X_AXES, dependence, draw_band, metric_points
from topmass.plotting.spectra import density
from topmass.plotting.style import ESTIMATORS, LABEL, FigureData, add_legend

NARROW_EDGES = np.arange(0, 355, 5)
"""Bin edges of the distributions of a single mass, GeV."""
WIDE_EDGES = np.arange(0, 410, 10)
"""Bin edges of the spectra without top quarks, GeV."""
COLUMNS = 3
"""Panels in a row."""


def draw_sample(predictions: Path, scores: Path, target: str) -> dict[str, FigureData]:
    """Draw the estimates according to the kind of the sample.

    For many masses these are response and resolution by mass and pT, for a single mass distributions and the fraction
    of jets near the mass, and without top quarks spectra in bins of pT.

    Args:
        predictions: File of `predict_sample`.
        scores: Scores of `evaluate_sample`.
        target: Column of the truth, as in `evaluate_sample`.
    """
    content = read_sample_scores(scores)
    frame, level = score_frame(content["regions"]), content["bootstrap"]["level"]
    points = metric_points(frame, X_AXES)
    if content["kind"] == MASSES:
        return {"estimates": dependence(points, ["response", "resolution"], level)}
    jets = SampleJets.load(predictions, target)
    if content["kind"] == SINGLE:
        return {"estimates": single_mass(jets, content["mass"], points)}
    return {"estimates": spectra_by_pt(jets, content["regions"])}


def single_mass(jets: SampleJets, mass: float, points: pd.DataFrame) -> FigureData:
    """Draw the distributions of all estimators, and the fraction of jets within `HALF_WINDOW` of the mass by pT.

    Args:
        jets: Jets with their estimates.
        mass: Simulated mass, GeV.
        points: Scores by pT, as from `metric_points`.
    """
    figure = Figure(figsize=(15, 7), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
    table = draw_densities(left, jets, np.arange(len(jets.pt)), NARROW_EDGES, "all")
    left.axvline(mass, color="0.4", linewidth=1, zorder=0)
    left.set(xlabel="Mass (GeV)", ylabel="Density ($10^{-3}$ / GeV)", title=f"top quarks of {mass:g} GeV")
    fractions = points[points["metric"] == "in_window"]
    for name, style in drawn_styles(jets).items():
        draw_band(right, fractions[fractions["estimator"] == name], 100, **style.marked)
    right.set(xlabel="Jet $p_T$ (GeV)", ylabel=f"Jets within {HALF_WINDOW:g} GeV of {mass:g} GeV (%)", ylim=(0, None))
    right.set_xlim(fractions["start"].min(), fractions["end"].max())
    return finish(figure, jets, table)


def spectra_by_pt(jets: SampleJets, regions: list[Mapping]) -> FigureData:
    """Draw the spectra of all estimators for all jets and in bins of pT, with the window around the top mass.

    Args:
        jets: Jets with their estimates.
        regions: Regions of the scores.
    """
    rows = -(-len(regions) // COLUMNS)
    figure = Figure(figsize=(6.2 * COLUMNS, 5.2 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True).ravel()
    tables = []
    for axes, region in zip(panels, regions, strict=False):
        low, high = region["pt"] or (0, np.inf)
        is_last = region is regions[-1]
        chosen = np.flatnonzero((jets.pt >= low) & ((jets.pt < high) | is_last))
        title = f"$p_T$ > {low:g} GeV" if is_last else f"{low:g} < $p_T$ < {high:g} GeV"
        title = title if region["pt"] else "all jets"
        tables.append(draw_densities(axes, jets, chosen, WIDE_EDGES, "all" if region["pt"] is None else f"{low:g}"))
        axes.axvspan(TOP_MASS - HALF_WINDOW, TOP_MASS + HALF_WINDOW, color="0.93", zorder=0)
        axes.set(title=title, ylabel="Density ($10^{-3}$ / GeV)")
        ratio = region["scores"]["network"]["sculpting"]
        text = "network: too few jets"
        if ratio:
            error = (ratio["high"] - ratio["low"]) / 2
            text = f"network: window / adjacent\n{ratio['value']:.2f} ± {error:.2f}"
        axes.text(0.97, 0.95, text, ha="right", va="top", transform=axes.transAxes, fontsize="small")
    for axes in panels[len(regions) :]:
        axes.set_axis_off()
    for axes in panels[max(len(regions) - COLUMNS, 0) : len(regions)]:
        axes.set_xlabel("Mass (GeV)")
        axes.tick_params(labelbottom=True)
    return finish(figure, jets, pd.concat(tables))


def draw_densities(axes: Axes, jets: SampleJets, rows: np.ndarray, edges: np.ndarray, region: str) -> pd.DataFrame:
    """Draw the density of the estimates of some jets, with its error, and return its table.

    Args:
        axes: Axes to draw on.
        jets: Jets with their estimates.
        rows: Indices of the jets.
        edges: Bin edges, GeV.
        region: Name of the jets in the table.
    """
    weight = jets.weights(rows)
    centre, tables = (edges[:-1] + edges[1:]) / 2, []
    for name, style in drawn_styles(jets).items():
        values, error = density(jets.estimates[name][rows], weight, edges)
        axes.stairs(values, edges, linewidth=2, **style.line)
        axes.errorbar(centre, values, error, fmt="none", color=style.color, linewidth=1)
        bins = {"region": region, "start": edges[:-1], "end": edges[1:], "estimator": name}
        tables.append(pd.DataFrame({**bins, "density": values, "error": error}))
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, None))
    return pd.concat(tables)


def drawn_styles(jets: SampleJets) -> dict:
    """Return the styles of the estimators of these jets."""
    return {name: style for name, style in ESTIMATORS.items() if name in jets.estimates}


def finish(figure: Figure, jets: SampleJets, table: pd.DataFrame) -> FigureData:
    """Add the legend, and the label with the numbers of jets."""
    number = len(jets.pt)
    effective = effective_number(jets.weights(np.arange(number)))
    text = f"{LABEL}, {number:,} jets" + (f" (effective number {effective:,.0f})" if jets.weight is not None else "")
    figure.suptitle(text, x=0.01, horizontalalignment="left", fontsize="medium")
    add_legend(figure, [Line2D([], [], label=style.title, **style.marked) for style in drawn_styles(jets).values()])
    return FigureData(figure, table)
