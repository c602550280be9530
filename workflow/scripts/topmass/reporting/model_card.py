"""A card that tells a stranger what a trained network is, how well it does, what it is not for, and how it is used."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from topmass.layers import find_layer
from topmass.reporting.history import history_table, training_table
from topmass.reporting.intervals import interval_tables
from topmass.reporting.scores import COLUMNS, MEANINGS, containment_tables, difference_tables, rows, title
from topmass.reporting.tables import Column, Number, Table
from topmass.scoring.score import SHORT, overall, shortfall

FROM_CARD_TO_RESULTS = 3
"""Folders up: train/{experiment}/{seed}."""


def card_text(template: Path, parts: Mapping) -> str:
    """The card of these parts, as Markdown."""
    environment = Environment(
        loader=FileSystemLoader(template.parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["table"] = as_table
    environment.filters["pairs"] = as_pairs
    return environment.get_template(template.name).render(parts)


def scores_told(run: Mapping) -> dict:
    """What the card has of a metrics.json: tables, and of which masses and pT the jets are that it was judged on."""
    region = overall(run)
    columns = [Column("estimator"), *(COLUMNS[name] for name in SHORT)]
    scores = Table(f"{region['jets']:,} test jets", columns, rows([run], [[region]], SHORT))
    short = [title(name) for name in SHORT]
    return {
        "experiment": run["experiment"],
        "seed": run["seed"],
        "level": f"{run['bootstrap']['level']:.0%}",
        "mass_above": run["mass_above"],
        "network": {name: rows([run], [[region]], [name])[0][1] for name in SHORT},
        "scores": scores,
        "meanings": [(name, meaning) for name, meaning in MEANINGS if name in short],
        "parts": [*difference_tables([run]), *containment_tables([run])],
        "intervals": [as_list(table) for table in interval_tables([run])],
        "shortfall": shortfall(run),
        "spans": {name: span_of(run, name) for name in ("mass", "pt")},
    }


def training_told(history: Path, training: Path) -> Table:
    """The numbers of a training, one a row. BadInput as for the tables of the page."""
    found = [as_list(table) for table in (training_table([training]), history_table([history]))]
    kept = {row[0]: row for table in found for row in table.rows}
    return Table("", found[0].columns, list(kept.values()))


def layer_table(names: Sequence[str]) -> Table:
    """The layers of the image in the order of the model."""
    layers = [find_layer(name) for name in names]
    found = [[str(i), layer.name, layer.unit, f"{layer.cell} × {layer.cell}"] for i, layer in enumerate(layers)]
    return Table("", [Column("number"), Column("layer"), Column("unit"), Column("pixels a cell")], found)


def files_of(card: Path) -> dict[str, str]:
    """The files that the snippets name: of the training, beside the card, and of the export among the same results."""
    exported = card.parents[FROM_CARD_TO_RESULTS] / "export" / card.parts[-3] / card.parts[-2]
    found = {"model": card.with_name("model.safetensors")}
    found |= {"dense": exported / "model.onnx", "sparse": exported / "model_sparse.onnx"}
    return {name: path.as_posix() for name, path in found.items()}


def span_of(run: Mapping, name: str) -> list[float]:
    """The outer edges, in GeV, of the bins of mass or pT that jets were judged in."""
    edges = [edge for region in run["regions"] if region["by"] == name for edge in region[name]]
    return [min(edges), max(edges)]


def as_list(table: Table) -> Table:
    """A table of one row on its side."""
    (row,) = table.rows
    found = [[column.title, with_unit(cell, column.unit)] for column, cell in zip(table.columns, row, strict=True)]
    return Table(table.caption, [Column("number"), Column("value")], found[1:])


def with_unit(cell: str | Number, unit: str) -> str:
    """A cell as text, with its unit behind it."""
    return " ".join(filter(None, [as_text(cell), unit]))


def as_text(cell: str | Number) -> str:
    """A cell as text that Markdown leaves as it is."""
    text = cell if isinstance(cell, str) else " ".join(filter(None, cell))
    return text.replace("|", "\\|").replace("\n", " ")


def as_table(table: Table) -> str:
    """A table as Markdown; the caption is left to the text around it."""
    heads = [" ".join(filter(None, [column.title, column.unit and f"({column.unit})"])) for column in table.columns]
    return "\n".join(lines(heads, table.rows))


def as_pairs(pairs: Sequence[Sequence[str]]) -> str:
    """Keys and values as a table."""
    return "\n".join(lines(["setting", "value"], [[f"`{key}`", value] for key, value in pairs]))


def lines(heads: Sequence[str], cells: Sequence[Sequence[str | Number]]) -> Iterator[str]:
    """The lines of a table."""
    for row in (heads, ["---"] * len(heads), *cells):
        yield f"| {' | '.join(map(as_text, row))} |"
