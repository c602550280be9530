"""Which files of the library a Python file reaches by its imports, and a hash of their content."""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

LIBRARY = "topmass"


@cache
def imported(file: Path, scripts: Path) -> frozenset[Path]:
    """Files of the library under `scripts` that this file names in its imports, with the packages they lie in."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            found.update(files_of(name, scripts))
    return frozenset(found - {file})


def files_of(name: str, scripts: Path) -> Iterator[Path]:
    """The files that importing the module `name` runs, if it is one of the library's."""
    parts = name.split(".")
    if parts[0] != LIBRARY:
        return
    for depth in range(1, len(parts) + 1):
        path = scripts.joinpath(*parts[:depth])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.exists():
                yield file


def reached(script: Path) -> list[Path]:
    """The script, and all files of the library that it reaches directly or through others, sorted."""
    known, waiting = {script}, [script]
    while waiting:
        new = imported(waiting.pop(), script.parent) - known
        known |= new
        waiting += new
    return sorted(known)


def content_hash(script: Path) -> str:
    """Sixteen hexadecimal digits that change with the content, not the time, of any file that the script reaches."""
    return hash_of(reached(script))


def hash_of(files: Sequence[Path]) -> str:
    """Sixteen hexadecimal digits that change with the names and the content of these files."""
    content = hashlib.sha256()
    for file in files:
        content.update(f"{file.name}\n".encode() + file.read_bytes())
    return content.hexdigest()[:16]
