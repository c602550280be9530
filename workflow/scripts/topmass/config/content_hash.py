"""Content hashes of scripts with the library files that they import, and of the user's files.

A rule reruns if the content of a file changes, independently of its modification time.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from topmass.files import atomic_write, file_digest

LIBRARY = "topmass"
CACHE = Path(".snakemake/contents.json")
LARGE = 1e9
"""File size in bytes above which a message is printed, because reading takes seconds."""


@cache
def imported(file: Path, scripts: Path) -> frozenset[Path]:
    """Return the library files under `scripts` that `file` imports directly, including their packages."""
    files: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            files.update(imported_files(name, scripts))
    return frozenset(files - {file})


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
    reached_files, pending = {*files}, [*files]
    while pending:
        new = imported(pending.pop(), scripts) - reached_files
        reached_files |= new
        pending += new
    return sorted(reached_files)


def hash_of(files: Sequence[Path]) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of names and contents, not modification times, of files."""
    content = hashlib.sha256()
    for file in files:
        content.update(f"{file.name}\n".encode() + file.read_bytes())
    return content.hexdigest()[:16]


def content_of(path: Path) -> str | None:
    """Return a digest of a file's content; None if there is no such file.

    The digest is cached in the working directory by path, size, modification time and inode.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    try:
        cache = json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        cache = {}
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    if cache.get(str(path), {}).get("state") != state:
        if stat.st_size > LARGE:
            print(f"{path}: reading {stat.st_size / 1e9:.1f} GB to see whether it has changed", file=sys.stderr)
        cache[str(path)] = {"state": state, "digest": file_digest(path)}
        # The cache is optional: the folder may be read-only.
        with suppress(OSError), atomic_write(CACHE) as part:
            part.write_text(json.dumps(cache), encoding="utf-8")
    return cache[str(path)]["digest"]
