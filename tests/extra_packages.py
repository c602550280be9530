"""Packages that a test needs and that must not lie in the environment of all tests: in a folder of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY


def extra_packages(name: str, *requirements: str) -> Path:
    """A folder for `PYTHONPATH` with these packages, kept for the next time; without them the test is skipped."""
    folder = REPOSITORY / ".cache" / name
    if not (folder / "ready").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps", "--target", folder]
        ended = subprocess.run([*pip, *requirements], capture_output=True, text=True)
        if ended.returncode:
            pytest.skip(f"{' '.join(requirements)} cannot be installed: {ended.stderr.strip().splitlines()[-1]}")
        (folder / "ready").touch()
    return folder
