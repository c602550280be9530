"""Model card of a trained network: performance, limitations and usage."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.evaluation.score import MAIN_METRICS, baselines_not_beaten, inclusive
from topmass.layers import find_layer
from topmass.preprocessing.distribution_shift import SHIFT_COLUMNS
from topmass.report.rendering import cell_text
from topmass.report.score_tables import (
    DEFINITIONS,
    containment_tables,
    difference_tables,
    interval_tables,
    score_table,
)
from topmass.report.tables import Column, Table, report_parse_errors
from topmass.report.training_tables import history_table, read_training, training_table


def score_context(run: Mapping) -> dict:
    """Return the template variables from a metrics.json: score tables, and mass and pT ranges of the test jets."""
    scores = score_table(f"{inclusive(run)['jets']:,} test jets", [run], MAIN_METRICS)
    return {
        "experiment": run["experiment"],
        "seed": run["seed"],
        "level": f"{run['bootstrap']['level']:.0%}",
        "min_mass": run["min_mass"],
        "network": dict(zip(MAIN_METRICS, scores.rows[0][1:], strict=True)),
        "scores": scores,
        "definitions": [DEFINITIONS[name] for name in MAIN_METRICS],
        "parts": [*difference_tables([run]), *containment_tables([run])],
        "intervals": [transpose_row(table) for table in interval_tables([run])],
        "shortfall": baselines_not_beaten(run),
        "spans": {name: bin_range(run, name) for name in ("mass", "pt")},
    }


def training_context(history: Path, training: Path) -> Table:
    """Return a table of a training's statistics, one per row, from its history.csv and training.json."""
    tables = [transpose_row(table) for table in (training_table([training]), history_table([history]))]
    rows = {row[0]: row for table in tables for row in table.rows}
    return Table("", tables[0].columns, list(rows.values()))


def distribution_table(training: Path) -> Table:
    """Return the table of the training jets' distributions from training.json."""
    heads = ["quantity", "jets with a hit", "hits per jet", *(f"{head} quantile" for head in SHIFT_COLUMNS[2:])]
    rows = read_training(training, ["distributions"])["distributions"]
    with report_parse_errors(training, "about a training"):
        return Table("", [Column(head) for head in heads], [[*map(str, row)] for row in rows])


def layer_table(names: Sequence[str]) -> Table:
    """Return the table of the image's layers in the order of the model."""
    rows = [
        [str(i), layer.name, layer.unit, f"{layer.cell} × {layer.cell}"]
        for i, layer in enumerate(map(find_layer, names))
    ]
    return Table("", [Column("number"), Column("layer"), Column("unit"), Column("pixels per cell")], rows)


def bin_range(run: Mapping, name: str) -> list[float]:
    """Return the outer edges in GeV of the mass or pT bins of the test jets."""
    edges = [edge for region in run["regions"] if region["by"] == name for edge in region[name]]
    return [min(edges), max(edges)]


def transpose_row(table: Table) -> Table:
    """Return a table of one row transposed, without its first column."""
    (row,) = table.rows
    rows = [
        [column.title, " ".join(filter(None, [cell_text(cell), column.unit]))]
        for column, cell in zip(table.columns, row, strict=True)
    ]
    return Table(table.caption, [Column("number"), Column("value")], rows[1:])
