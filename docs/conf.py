"""Sphinx configuration of the documentation: `make docs` builds it without a network."""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
REPOSITORY = DOCS.parent
sys.path[:0] = [str(DOCS), str(REPOSITORY / "workflow/scripts")]

project = "topmass"
author = "The topmass developers"
copyright = "The topmass developers, MIT licence"
extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "configuration_reference",
]
exclude_patterns = ["_build", "_api/modules.rst"]
# A name in single backticks is code, in docstrings too.
default_role = "code"

myst_heading_anchors = 4
# The library of a page's examples is chosen by the page, never guessed.
highlight_language = "text"

html_theme = "furo"
html_title = "topmass"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]

# One page per package of the library; the list follows the files.
apidoc_modules = [
    {
        "path": str(REPOSITORY / "workflow/scripts/topmass"),
        "destination": "_api",
        "separate_modules": False,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

CODE = re.compile(r"(``[^`]+``|`[^`]+`)")
"""Parts of a docstring that are code and stay as they are."""
MARKUP = re.compile(r"([|*]|(?<=\w)_(?!\w))")
"""Characters of formulas, such as |η| or a * b, that reStructuredText would treat as markup."""


def escape_formulas(app: object, what: str, name: str, item: object, options: object, lines: list[str]) -> None:
    """Escape formulas of a docstring, in place, before napoleon reads its sections."""
    lines[:] = [
        "".join(part if CODE.fullmatch(part) else MARKUP.sub(r"\\\1", part) for part in CODE.split(line))
        for line in lines
    ]
    if what in ("attribute", "data", "property"):
        # In the first line, napoleon would read text before a colon as a type: an empty comment takes that place.
        lines[:0] = ["..", ""]


def skip_fields_without_text(
    app: object, what: str, name: str, item: object, skip: bool, options: object
) -> bool | None:
    """Leave out fields of named tuples that have Python's own docstring only."""
    return True if (getattr(item, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app: Sphinx) -> None:
    """Connect both functions."""
    app.connect("autodoc-process-docstring", escape_formulas, priority=400)
    app.connect("autodoc-skip-member", skip_fields_without_text)
