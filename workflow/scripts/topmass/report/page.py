"""Rendering of the HTML report from its template."""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from topmass.files import BadInput, atomic_write

MAX_REPORT_BYTES = 10_000_000
"""Largest size of the report in bytes."""
TEXT = 1_000_000
"""Bytes of the report reserved for everything except figures."""


def render(page: Path, templates: Path, parts: Mapping) -> int:
    """Write the report and return its size in bytes.

    Args:
        page: File to write.
        templates: Folder of page.html.jinja.
        parts: Variables of the template.

    Raises:
        BadInput: If the report exceeds `MAX_REPORT_BYTES` and is thus too large to open easily.
    """
    environment = Environment(
        loader=FileSystemLoader(templates), autoescape=select_autoescape(("jinja",)), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    content = environment.get_template("page.html.jinja").render(parts).encode()
    if len(content) > MAX_REPORT_BYTES:
        size = f"{len(content) / 1e6:.1f} MB, more than {MAX_REPORT_BYTES / 1e6:.0f}"
        raise BadInput(f"{page}: {size}: run fewer experiments or seeds at once")
    with atomic_write(page) as part:
        part.write_bytes(content)
    return len(content)
