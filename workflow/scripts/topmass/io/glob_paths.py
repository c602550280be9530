"""Expansion of paths: environment variables, and folders to their parquet files."""

import os
from pathlib import Path

PART_PATTERN = "*.parquet"
"""Files of a table that is a folder."""


def expand_variables(path: str) -> str:
    """Expand `~` and environment variables in a path."""
    return os.path.expandvars(os.path.expanduser(path))


def glob_paths(path: str) -> list[str]:
    """Return the parquet files of a folder, sorted by name; for any other path, the path itself, even if missing.

    `~` and environment variables are expanded.
    """
    place = expand_variables(path)
    return [str(part) for part in sorted(Path(place).glob(PART_PATTERN)) if part.is_file()] or [place]
