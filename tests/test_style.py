"""Style of prose: phrases that CONTRIBUTING.md asks to avoid are in no docstring, comment, page or description."""

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator

import pytest

from conftest import REPOSITORY

PHRASES = [
    r"\bbut for\b",
    r"(?<![.`])\bbesides?\b(?![:`])",
    r"\b(?:is|are|was|were) told\b",
    r"\b(?:network|model|graph)s? says?\b",
    r"\bknows? of\b",
    r"\b(?:thrice|nought|likewise)\b",
    r"\bmend(?:ed|s)?\b",
    r"\bso many\b",
    r"\bshared? out\b",
    r"\b(?:the|its) hardest\b",
    r"\ba stranger\b|\bsomebody\b",
    r"\bwants? an?\b",
]
"""Phrases of another style than the rule in CONTRIBUTING.md asks for."""
SUFFIXES = {".md", ".rst", ".yaml", ".smk", ".jinja"}


def files() -> list[str]:
    """Return the paths of the texts of the repository, tests excluded."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    completed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8")
    if completed.returncode:
        pytest.skip("no git repository")
    paths = [path for path in completed.stdout.splitlines() if (REPOSITORY / path).is_file()]
    return [path for path in paths if not path.startswith("tests/")]


def prose(path: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of the docstrings and comments of a Python file, or of the lines of any other text."""
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    if not path.endswith(".py"):
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.startswith('"""')):
            yield token.start[0], token.string


def test_no_text_has_a_phrase_of_the_word_list():
    pattern = re.compile("|".join(PHRASES), re.IGNORECASE)
    texts = [path for path in files() if path.endswith((".py", *SUFFIXES)) or path in ("Makefile", "Snakefile")]
    assert len(texts) > 200
    places = [
        f"{path}:{line}: {match[0]}" for path in texts for line, text in prose(path) for match in pattern.finditer(text)
    ]
    assert places == []
