"""Limits that kernel control groups, such as batch jobs and containers, set for a process."""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def available_cores(root: Path = ROOT) -> int:
    """Return the number of CPU cores that this process may use at the same time, at least 1.

    Considers its CPU affinity and the CPU quotas of all its control groups. `root` contains the kernel's files.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [float(cores)]
    for texts, _ in control_groups("cpu", ["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"], root):
        quota, period = " ".join(texts).split()
        limits += [float(quota) / float(period)] if quota not in ("max", "-1") else []
    return max(1, int(min(limits)))


def control_groups(
    controller: str, version_2: list[str], version_1: list[str], root: Path
) -> Iterator[tuple[list[str], int]]:
    """Yield the texts of files of each control group of this process that has all of them, and the version, 1 or 2.

    Args:
        controller: "cpu" or "memory".
        version_2: Names of the files in control groups of version 2.
        version_1: Names of the files in control groups of version 1.
        root: Parent folder of `proc` and `sys`.
    """
    table = root / "proc/self/cgroup"
    for line in table.read_text(encoding="utf-8").splitlines() if table.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        home, version = (root / "sys/fs/cgroup" / controller, 1) if controllers else (root / "sys/fs/cgroup", 2)
        group = home / path.lstrip("/")
        # In a container the path is that of the host, and only its root exists.
        for folder in [group, *group.parents]:
            files = [folder / name for name in (version_1 if version == 1 else version_2)]
            if folder.is_relative_to(home) and all(file.exists() for file in files):
                yield [file.read_text(encoding="utf-8").strip() for file in files], version
