"""Provenance of a run: commit, packages, machine, inputs, settings, cost."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from topmass.io.checksums import read_record
from topmass.limits import available_cores
from topmass.report.cost_table import Cost
from topmass.report.tables import MISSING_CELL, Cell, Column, Table

UNKNOWN_COMMIT = "unknown"


def commit(repository: Path) -> str:
    """Return the commit of a repository, with a + if modified; `UNKNOWN_COMMIT` without repository or git."""
    # With explicit paths, git neither uses an enclosing repository nor checks the owner.
    command = ["git", "--git-dir", repository / ".git", "--work-tree", repository, "describe", "--always", "--dirty=+"]
    try:
        ended = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return UNKNOWN_COMMIT
    return ended.stdout.strip() if ended.returncode == 0 else UNKNOWN_COMMIT


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


def packages(pins: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return each package with its installed version, or with its pinned version if it is not installed here."""
    return [(name, version_of(name, pin)) for name, pin in pins.items()]


def version_of(name: str, pin: str) -> str:
    """Return the installed version of a package, and the pinned version if it differs."""
    try:
        found = version(name)
    except PackageNotFoundError:
        return pin
    # The local version after a + identifies the build.
    return found if found.partition("+")[0] == pin else f"{found} (asked for: {pin})"


def input_table(inputs: Sequence[Mapping], results: Path) -> Table:
    """Return a table with a row for each input.

    Args:
        inputs: Rows from `configured_inputs`.
        results: Folder that the `download` paths are relative to.
    """
    rows = [[each["sample"], each["source"], checksum(each, results)] for each in inputs]
    return Table("Where the jets are from", [Column("sample"), Column("source"), Column("checksum")], rows)


def checksum(given: Mapping, results: Path) -> str:
    """Return the configured checksum, or the one computed at the download; a dash if there is neither."""
    if given["checksum"]:
        return given["checksum"]
    found = read_record(results / given["download"]) if given["download"] else None
    return f"{found}, as downloaded" if found else MISSING_CELL


def settings_table(settings: Sequence[Sequence[str]]) -> Table:
    """Return a table of the settings that differ: key, value in config.yaml, value in this run."""
    heads = [Column("setting"), Column("config.yaml"), Column("here")]
    return Table("Settings that differ from config.yaml", heads, settings)


def cost_table(costs: Sequence[Cost]) -> Table:
    """Return a table with a row for each stage, longest first."""
    heads = ("stage", "jobs", "seconds", "CPU seconds", "peak memory")
    rows = []
    for cost in sorted(costs, key=lambda cost: -cost.seconds):
        numbers = (f"{cost.jobs:,}", f"{cost.seconds:,.1f}", f"{cost.cpu_seconds:,.1f}", f"{cost.peak:,.0f}")
        rows.append([cost.stage, *map(Cell, numbers)])
    units = ("", "", "", "", "MB")
    caption = "The last run of each job in this folder"
    return Table(caption, [Column(head, unit) for head, unit in zip(heads, units, strict=True)], rows)
