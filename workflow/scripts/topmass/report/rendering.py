"""Rendering of templates, with tables in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from topmass.report.tables import Cell, Table


def render(template: Path, variables: Mapping) -> str:
    """Return the text of a Jinja template; values are escaped in HTML, and a missing variable is an error."""
    environment = Environment(
        loader=FileSystemLoader(template.parent), autoescape=select_autoescape(("html.jinja",)),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"table": table_markdown, "pairs": settings_markdown}
    return environment.get_template(template.name).render(variables)


def cell_text(cell: str | Cell) -> str:
    """Return a cell as text escaped for a Markdown table."""
    text = cell if isinstance(cell, str) else " ".join(filter(None, cell))
    return text.replace("|", "\\|").replace("\n", " ")


def table_markdown(table: Table) -> str:
    """Return a table as Markdown, without its caption."""
    heads = [f"{column.title} ({column.unit})" if column.unit else column.title for column in table.columns]
    return "\n".join(markdown_lines(heads, table.rows))


def settings_markdown(settings: Sequence[Sequence[str]]) -> str:
    """Return settings and values as a Markdown table."""
    return "\n".join(markdown_lines(["setting", "value"], [[f"`{key}`", value] for key, value in settings]))


def markdown_lines(heads: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    for row in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(map(cell_text, row))} |"
