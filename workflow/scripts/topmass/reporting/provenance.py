"""What a run was made with: commit, packages, machine, inputs."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from topmass.reporting.tables import NOTHING, Column, Number, Table
from topmass.reporting.timings import Cost
from topmass.sources.checksum import read_record

UNKNOWN = "unknown"


def commit(house: Path) -> str:
    """The commit of the repository `house`, with a + if it was changed; unknown if it is none, or without git."""
    # Named, so that git neither takes a repository around this one nor asks whose it is.
    command = ["git", "--git-dir", house / ".git", "--work-tree", house, "describe", "--always", "--dirty=+"]
    try:
        ended = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return UNKNOWN
    return ended.stdout.strip() if ended.returncode == 0 else UNKNOWN


def machine() -> dict[str, str]:
    """This machine in a few words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return {"processor": processor(), "cores": str(cores), "memory": f"{memory:.0f} GB", "system": system}


def processor() -> str:
    """The model of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def packages(pins: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each package with its version here, or where it is not installed with that in the environment of its stages."""
    return [(name, version_of(name, pin)) for name, pin in pins.items()]


def version_of(name: str, pin: str) -> str:
    """The version of a package, and the one that was asked for if it is another."""
    try:
        found = version(name)
    except PackageNotFoundError:
        return pin
    # What follows a + tells how it was built.
    return found if found.partition("+")[0] == pin else f"{found} (asked for: {pin})"


def input_table(inputs: Sequence[Mapping], results: Path) -> Table:
    """A row for each input: its `sample`, `source`, and `checksum` or `download`, a file in the folder `results`."""
    rows = [[each["sample"], each["source"], checksum(each, results)] for each in inputs]
    return Table("Where the jets are from", [Column("sample"), Column("source"), Column("checksum")], rows)


def checksum(given: Mapping, results: Path) -> str:
    """The checksum that was asked for, or that was found at the download."""
    if given["checksum"]:
        return given["checksum"]
    found = read_record(results / given["download"]) if given["download"] else None
    return f"{found.kind}:{found.value}, as downloaded" if found else NOTHING


def settings_table(settings: Sequence[Sequence[str]]) -> Table:
    """A row for each setting that differs: key, value in config.yaml, value here."""
    heads = [Column("setting"), Column("config.yaml"), Column("here")]
    return Table("Settings that differ from config.yaml", heads, settings)


def cost_table(costs: Sequence[Cost]) -> Table:
    """A row for each stage, the longest first."""
    heads = ("stage", "jobs", "seconds", "CPU seconds", "peak memory")
    rows = []
    for cost in sorted(costs, key=lambda cost: -cost.seconds):
        numbers = (f"{cost.jobs:,}", f"{cost.seconds:,.1f}", f"{cost.cpu_seconds:,.1f}", f"{cost.peak:,.0f}")
        rows.append([cost.stage, *map(Number, numbers)])
    units = ("", "", "", "", "MB")
    caption = "The last run of each job in this folder"
    return Table(caption, [Column(head, unit) for head, unit in zip(heads, units, strict=True)], rows)
