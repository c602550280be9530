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
    quotas = []
    for folder, version in control_groups("cpu", root):
        names = ["cpu.max"] if version == 2 else ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        files = [folder / name for name in names]
        if all(file.exists() for file in files):
            quota, period = " ".join(file.read_text(encoding="utf-8") for file in files).split()
            quotas += [float(quota) / float(period)] if quota not in ("max", "-1") else []
    return max(1, int(min([cores, *quotas])))


def control_groups(controller: str, root: Path = ROOT) -> Iterator[tuple[Path, int]]:
    """Yield folders of control groups that may limit "cpu" or "memory" of this process, and their version, 1 or 2."""
    about = root / "proc/self/cgroup"
    for line in about.read_text(encoding="utf-8").splitlines() if about.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        home, version = (root / "sys/fs/cgroup" / controller, 1) if controllers else (root / "sys/fs/cgroup", 2)
        group = home / path.lstrip("/")
        # In a container the path is that of the host, and only its root exists.
        yield from ((folder, version) for folder in [group, *group.parents] if folder.is_relative_to(home))
