"""Provenance of a run: commit, packages, machine, inputs, settings, cost."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from topmass.io.checksums import read_record
from topmass.limits import available_cores
from topmass.report.tables import MISSING_CELL, Column, Table

UNKNOWN_COMMIT = "unknown"


def commit(repository: Path) -> str:
    """Return the commit of a repository, with a + if modified; `UNKNOWN_COMMIT` without repository or git."""
    # With explicit paths, git neither uses an enclosing repository nor checks the owner.
    command = ["git", "--git-dir", repository / ".git", "--work-tree", repository, "describe", "--always", "--dirty=+"]
    try:
        completed = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return UNKNOWN_COMMIT
    return completed.stdout.strip() if completed.returncode == 0 else UNKNOWN_COMMIT


def machine() -> dict[str, str]:
    """Return processor, cores, memory and system of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return {"processor": processor(), "cores": str(available_cores()), "memory": f"{memory:.0f} GB", "system": system}


def processor() -> str:
    """Return the model of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def package_version(name: str, pin: str) -> str:
    """Return the installed version of a package, and the pinned version if it differs or nothing is installed."""
    try:
        installed = version(name)
    except PackageNotFoundError:
        return pin
    # The local version after a + identifies the build.
    return installed if installed.partition("+")[0] == pin else f"{installed} (pinned: {pin})"


def input_table(inputs: Sequence[Mapping], results: Path) -> Table:
    """Return a table of `configured_inputs`; their `download` paths are relative to `results`."""
    rows = [[row["sample"], row["source"], checksum(row, results)] for row in inputs]
    return Table("Sources of the jets", [Column("sample"), Column("source"), Column("checksum")], rows)


def checksum(row: Mapping, results: Path) -> str:
    """Return the configured checksum, or the one computed at the download; a dash if there is neither."""
    if row["checksum"]:
        return row["checksum"]
    recorded = read_record(results / row["download"]) if row["download"] else None
    return f"{recorded}, as downloaded" if recorded else MISSING_CELL


def settings_table(settings: Sequence[Sequence[str]]) -> Table:
    """Return a table of the settings that differ: key, value in config.yaml, value in this run."""
    heads = [Column("setting"), Column("config.yaml"), Column("this run")]
    return Table("Settings that differ from config.yaml", heads, settings)
