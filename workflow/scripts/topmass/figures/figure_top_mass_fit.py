"""Figures of the template fits of the top mass."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topmass.evaluation.fit_results import fit_rows, read_fit
from topmass.evaluation.fit_samples import BY_WIDTH, GENERATED
from topmass.plotting.style import ESTIMATORS, LABEL, EstimatorStyle, FigureData, add_legend

STYLES = ESTIMATORS | {
    BY_WIDTH: EstimatorStyle("network by interval width", "C4", "D", ":"),
    GENERATED: EstimatorStyle("soft-drop mass of generated jets", "0.6", "x", "-."),
}
TEMPLATE_STYLES = (":", "-", "--")


def draw_top_mass_fit(fits: Path) -> dict[str, FigureData]:
    """Draw templates with the information of each bin, and the shifts by variations of the fits without background."""
    content = read_fit(fits)
    return {
        "top_mass_templates": template_panels(content["spectra"]),
        "top_mass_shifts": shift_bars([fit for fit in content["fits"] if not fit["background"]]),
    }


def template_panels(spectra: Sequence[Mapping]) -> FigureData:
    """Draw three templates with the nominal sample (top), and the fraction of each bin in 1 / σ² (bottom).

    Args:
        spectra: The `spectra` of the results of the fit.
    """
    figure = Figure(figsize=(5.2 * len(spectra), 9), layout="constrained")
    panels = figure.subplots(2, len(spectra), squeeze=False, sharex="col", height_ratios=(2, 1))
    tables = [spectrum_frame(spectrum) for spectrum in spectra]
    for (above, below), spectrum, table in zip(panels.T, spectra, tables, strict=True):
        draw_templates(above, spectrum, table)
        style = STYLES[spectrum["estimator"]]
        edges = [*table["low"], table["high"].iloc[-1]]
        below.stairs(100 * table["information"], edges, color=style.color, fill=True, alpha=0.6)
        below.set(xlabel=f"{style.title[:1].upper()}{style.title[1:]} (GeV)", ylim=(0, None))
        above.set_ylim(0, 1.35 * above.get_ylim()[1])
    panels[0, 0].set_ylabel("Fraction of jets per GeV")
    panels[1, 0].set_ylabel(r"Fraction of 1/$\sigma^2$ (%)")
    add_legend(figure, panels[0, 0].get_legend_handles_labels()[0])
    figure.suptitle(f"{LABEL}, the outer bins include all jets beyond them", x=0.01, horizontalalignment="left")
    return FigureData(figure, pd.concat(tables))


def draw_templates(axes: Axes, spectrum: Mapping, table: pd.DataFrame) -> None:
    """Draw the templates of an estimator as steps, and its nominal sample as points."""
    style, edges = STYLES[spectrum["estimator"]], np.array([*table["low"], table["high"].iloc[-1]])
    for template, linestyle in zip(spectrum["templates"], TEMPLATE_STYLES, strict=True):
        density = np.array(template["content"]) / np.diff(edges)
        label = f"template, {template['top_mass']:g} GeV"
        axes.stairs(density, edges, color=style.color, linestyle=linestyle, linewidth=2, label=label, baseline=None)
    centres = (edges[:-1] + edges[1:]) / 2
    axes.plot(centres, table["nominal"] / np.diff(edges), "o", color="0.2", markersize=5, label="nominal sample")


def spectrum_frame(spectrum: Mapping) -> pd.DataFrame:
    """Return the bins of an estimator; the outer bins are drawn with the width of the others."""
    edges, width = spectrum["edges"], spectrum["bin_width"]
    edges = [edges[0] - width, *edges, edges[-1] + width]
    columns = {"estimator": spectrum["estimator"], "low": edges[:-1], "high": edges[1:]}
    columns |= {f"template_{each['top_mass']:g}": each["content"] for each in spectrum["templates"]}
    return pd.DataFrame(columns | {name: spectrum[name] for name in ("nominal", "information")})


def shift_bars(fits: Sequence[Mapping]) -> FigureData:
    """Draw the shift by each variation as horizontal bars with errors, one bar per estimator, and the quadratic sums.

    A shift outside the range of the templates has no bar.

    Args:
        fits: Fits with the same variations, one per estimator.
    """
    names = [*fits[0]["shifts"], "quadratic sum"]
    figure = Figure(figsize=(12, 3 + max(0.4, 0.13 * len(fits)) * len(names)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(fits)
    for i, fit in enumerate(fits):
        entries = [entry or {} for entry in (*fit["shifts"].values(), fit["quadratic_sum"])]
        values, errors = ([entry.get(key, np.nan) for entry in entries] for key in ("value", "error"))
        style, y = STYLES[fit["estimator"]], np.arange(len(names)) - 0.4 + (i + 0.5) * height
        # The GBDTs share a colour.
        hatch = "///" if style.color in [STYLES[other["estimator"]].color for other in fits[:i]] else None
        bars = axes.barh(
            y, values, height, xerr=errors, color=style.color, alpha=0.8, hatch=hatch, error_kw={"elinewidth": 1.2}
        )
        bars.set_label(style.title)
    axes.axvline(0, color="0.3", linewidth=1)
    axes.axhline(len(names) - 1.5, color="0.6", linewidth=1, linestyle="--")
    axes.set_yticks(np.arange(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", which="both", length=0)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.set_xlabel("Shift of the fitted top mass (GeV)")
    figure.legend(loc="outside lower center", ncols=3)
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    return FigureData(figure, pd.DataFrame(fit_rows(fits)))
