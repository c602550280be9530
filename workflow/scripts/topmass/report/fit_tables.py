"""Tables of the fits of the top mass, for the report and in Markdown."""

from collections.abc import Mapping

from topmass.evaluation.fit_results import FIT_TITLES
from topmass.report.rendering import table_markdown
from topmass.report.tables import Cell, Column, Table, count_cell, decimal

OUTSIDE = "outside"
"""Text of a shift whose fitted mass is outside the range of the templates."""


def fit_tables(content: Mapping) -> list[Table]:
    """Return the tables of fits without and with background, one column per estimator, and the table of samples."""
    tables = []
    for background in (False, True):
        fits = [fit for fit in content["fits"] if fit["background"] == background]
        if fits:
            tables.append(fit_table(content, fits, background))
    columns = [Column("sample"), Column("jets"), Column("effective jets"), Column("in the nominal sample", "%")]
    rows = [
        [
            *(sample["name"], count_cell(sample["jets"]), count_cell(sample["effective_jets"])),
            Cell(decimal(sample["common"], "%")),
        ]
        for sample in content["samples"]
    ]
    return [*tables, Table("Samples of the fit: jets with a mass within the range of the templates", columns, rows)]


def fit_table(content: Mapping, fits: list[Mapping], background: bool) -> Table:
    """Return the table of some fits, one row per quantity.

    Args:
        content: Results of `topmass.evaluation.top_mass_fit.fit_top_mass`.
        fits: Fits, one per estimator.
        background: Whether the fits have a background.
    """
    what = "without background"
    if background:
        what = f"with a free background, {content['background_fraction']:.0%} of the pseudo-data"
    caption = f"Fit of the top mass {what}: errors for {content['jets']:,} top jets, closure tests and shifts"
    rows = [["statistical error", *(cell(fit["sigma"]) for fit in fits)]]
    for i, entry in enumerate(fits[0]["closure"]):
        rows.append([f"closure at {entry['true']:g} GeV", *(cell(fit["closure"][i]) for fit in fits)])
    rows.append(["closure, nominal sample", *(cell(fit["nominal"]) for fit in fits)])
    for name in fits[0]["shifts"]:
        rows.append([f"shift by {name}", *(cell(fit["shifts"][name]) for fit in fits)])
    rows.append(["quadratic sum of shifts", *(cell(fit["quadratic_sum"]) for fit in fits)])
    return Table(caption, [Column("quantity"), *(Column(FIT_TITLES[fit["estimator"]], "GeV") for fit in fits)], rows)


def cell(entry: Mapping[str, float] | None) -> Cell:
    """Return a value with its error; a text if the fitted mass is outside the range of the templates."""
    if entry is None:
        return Cell(OUTSIDE)
    # Three decimals: the errors are small.
    return Cell(decimal(entry["value"], ""), f"± {decimal(entry['error'], '')}")


def fit_markdown(content: Mapping) -> str:
    """Return all tables as Markdown."""
    parts = [f"**{table.caption}**\n\n{table_markdown(table)}\n" for table in fit_tables(content)]
    return f"# Fit of the top mass: {content['experiment']}, seed {content['seed']}\n\n" + "\n".join(parts)
