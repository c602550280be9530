"""Packages that a test needs and that must not lie in the environment of all tests: in a folder of their own."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY


def extra_packages(name: str, *requirements: str) -> Path:
    """A folder for `PYTHONPATH` with these packages, kept for the next time; without them the test is skipped."""
    folder = kept_folder(name, *requirements)
    if not (folder / "ready").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps", "--target", folder]
        ended = subprocess.run([*pip, *requirements], capture_output=True, text=True)
        if ended.returncode:
            pytest.skip(f"{' '.join(requirements)} cannot be installed: {ended.stderr.strip().splitlines()[-1]}")
        (folder / "ready").touch()
    return folder


def kept_folder(name: str, *requirements: str) -> Path:
    """A folder of its own for these requirements: packages, or files that list them."""
    listed = [Path(each).read_text() if Path(each).is_file() else each for each in requirements]
    return REPOSITORY / ".cache" / f"{name}-{hashlib.sha256(repr(listed).encode()).hexdigest()[:8]}"
