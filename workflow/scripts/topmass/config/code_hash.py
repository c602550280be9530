"""Hash of scripts and of the library files that they import."""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

LIBRARY = "topmass"


@cache
def imported(file: Path, scripts: Path) -> frozenset[Path]:
    """Return the library files under `scripts` that `file` imports directly, including their packages."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            found.update(imported_files(name, scripts))
    return frozenset(found - {file})


def imported_files(name: str, scripts: Path) -> Iterator[Path]:
    """Yield the files that importing `name` executes, if it is a module of the library."""
    parts = name.split(".")
    if parts[0] != LIBRARY:
        return
    for depth in range(1, len(parts) + 1):
        path = scripts.joinpath(*parts[:depth])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.exists():
                yield file


def reached(*files: Path, scripts: Path) -> list[Path]:
    """Return these files and all library files under `scripts` that they import directly or indirectly, sorted."""
    known, waiting = {*files}, [*files]
    while waiting:
        new = imported(waiting.pop(), scripts) - known
        known |= new
        waiting += new
    return sorted(known)


def hash_of(files: Sequence[Path]) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of names and contents, not modification times, of files."""
    content = hashlib.sha256()
    for file in files:
        content.update(f"{file.name}\n".encode() + file.read_bytes())
    return content.hexdigest()[:16]
