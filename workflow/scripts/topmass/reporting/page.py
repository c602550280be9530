"""A page from its parts, by the template in workflow/report/."""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from topmass.files import BadInput, whole

MOST = 10_000_000
"""Bytes of a page."""
TEXT = 1_000_000
"""Of them, what is left for all but the figures."""


def render(page: Path, templates: Path, parts: Mapping) -> int:
    """Write the page of these parts; its size in bytes. BadInput if it would be too large to be opened with ease."""
    environment = Environment(
        loader=FileSystemLoader(templates), autoescape=select_autoescape(("jinja",)), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    content = environment.get_template("page.html.jinja").render(parts).encode()
    if len(content) > MOST:
        size = f"{len(content) / 1e6:.1f} MB, more than {MOST / 1e6:.0f}"
        raise BadInput(f"{page}: {size}: run fewer experiments or seeds at once")
    with whole(page) as part:
        part.write_bytes(content)
    return len(content)
