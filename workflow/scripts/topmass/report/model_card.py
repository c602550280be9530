"""Model card of a trained network: performance, limitations and usage."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from topmass.evaluation.score import SHORT, baselines_not_beaten, inclusive
from topmass.layers import find_layer
from topmass.preprocessing.distribution_shift import SHIFT_COLUMNS
from topmass.report.interval_tables import interval_tables
from topmass.report.score_tables import (
    DEFINITIONS,
    METRIC_COLUMNS,
    containment_tables,
    difference_tables,
    score_rows,
    title,
)
from topmass.report.tables import Cell, Column, Table, report_parse_errors
from topmass.report.training_history import history_table, training_table

FROM_CARD_TO_RESULTS = 3
"""Index in `Path.parents` of the results folder, for a card in train/{experiment}/{seed}."""


def card_text(template: Path, parts: Mapping) -> str:
    """Return the model card as Markdown, rendered from `parts` by the Jinja `template`."""
    environment = Environment(
        loader=FileSystemLoader(template.parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["table"] = as_table
    environment.filters["pairs"] = as_pairs
    return environment.get_template(template.name).render(parts)


def score_context(run: Mapping) -> dict:
    """Return the template variables from a metrics.json: score tables, and mass and pT ranges of the test jets."""
    region = inclusive(run)
    columns = [Column("estimator"), *(METRIC_COLUMNS[name] for name in SHORT)]
    scores = Table(f"{region['jets']:,} test jets", columns, score_rows([run], [[region]], SHORT))
    short = [title(name) for name in SHORT]
    return {
        "experiment": run["experiment"],
        "seed": run["seed"],
        "level": f"{run['bootstrap']['level']:.0%}",
        "min_mass": run["min_mass"],
        "network": {name: score_rows([run], [[region]], [name])[0][1] for name in SHORT},
        "scores": scores,
        "meanings": [(name, meaning) for name, meaning in DEFINITIONS if name in short],
        "parts": [*difference_tables([run]), *containment_tables([run])],
        "intervals": [as_list(table) for table in interval_tables([run])],
        "shortfall": baselines_not_beaten(run),
        "spans": {name: span_of(run, name) for name in ("mass", "pt")},
    }


def training_context(history: Path, training: Path) -> Table:
    """Return a table of a training's statistics, one per row.

    Args:
        history: Path of history.csv.
        training: Path of training.json.

    Raises:
        BadInput: If a file is not of its kind.
    """
    found = [as_list(table) for table in (training_table([training]), history_table([history]))]
    kept = {row[0]: row for table in found for row in table.rows}
    return Table("", found[0].columns, list(kept.values()))


def trained_on(training: Path) -> Table:
    """Return the table of the training jets' distributions from training.json.

    Raises:
        BadInput: If the file has no distributions.
    """
    with report_parse_errors(training, "about a training"):
        rows = json.loads(training.read_text(encoding="utf-8"))["distributions"]
        heads = ["quantity", "jets with a hit", "hits per jet", *(f"{head} quantile" for head in SHIFT_COLUMNS[2:])]
        return Table("", [Column(head) for head in heads], [[*map(str, row)] for row in rows])


def layer_table(names: Sequence[str]) -> Table:
    """Return the table of the image's layers in the order of the model."""
    layers = [find_layer(name) for name in names]
    found = [[str(i), layer.name, layer.unit, f"{layer.cell} × {layer.cell}"] for i, layer in enumerate(layers)]
    return Table("", [Column("number"), Column("layer"), Column("unit"), Column("pixels a cell")], found)


def card_files(card: Path) -> dict[str, str]:
    """Return the paths of the model files in the card's code examples: checkpoint and exported ONNX models."""
    exported = card.parents[FROM_CARD_TO_RESULTS] / "export" / card.parts[-3] / card.parts[-2]
    found = {"model": card.with_name("model.safetensors")}
    found |= {"dense": exported / "model.onnx", "sparse": exported / "model_sparse.onnx"}
    return {name: path.as_posix() for name, path in found.items()}


def span_of(run: Mapping, name: str) -> list[float]:
    """Return the outer edges in GeV of the mass or pT bins of the test jets."""
    edges = [edge for region in run["regions"] if region["by"] == name for edge in region[name]]
    return [min(edges), max(edges)]


def as_list(table: Table) -> Table:
    """Return a table of one row transposed, without its first column."""
    (row,) = table.rows
    found = [[column.title, with_unit(cell, column.unit)] for column, cell in zip(table.columns, row, strict=True)]
    return Table(table.caption, [Column("number"), Column("value")], found[1:])


def with_unit(cell: str | Cell, unit: str) -> str:
    """Return a cell as text followed by its unit."""
    return " ".join(filter(None, [as_text(cell), unit]))


def as_text(cell: str | Cell) -> str:
    """Return a cell as text escaped for a Markdown table."""
    text = cell if isinstance(cell, str) else " ".join(filter(None, cell))
    return text.replace("|", "\\|").replace("\n", " ")


def as_table(table: Table) -> str:
    """Return a table as Markdown, without its caption."""
    heads = [" ".join(filter(None, [column.title, column.unit and f"({column.unit})"])) for column in table.columns]
    return "\n".join(lines(heads, table.rows))


def as_pairs(pairs: Sequence[Sequence[str]]) -> str:
    """Return settings and values as a Markdown table."""
    return "\n".join(lines(["setting", "value"], [[f"`{key}`", value] for key, value in pairs]))


def lines(heads: Sequence[str], cells: Sequence[Sequence[str | Cell]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    for row in (heads, ["---"] * len(heads), *cells):
        yield f"| {' | '.join(map(as_text, row))} |"
