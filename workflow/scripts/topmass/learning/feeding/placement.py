"""Where the jets are kept while a network is trained: chosen by size, and said with the reason."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from topmass.files import BadInput
from topmass.learning.feeding.shard_files import CHECKING, ShardFiles
from topmass.learning.feeding.sources import InMemory, OnDisk, Source
from topmass.learning.team import Team

OF_DEVICE, OF_HOST = 0.5, 0.6
"""Parts of the free memory of a GPU and of the machine that jets may take; the rest is for the network."""
GB = 1e9


def free_memory(root: Path = Path("/")) -> float:
    """Bytes of main memory that this process may still take: what is free, within the limits of its control groups.

    `root` is where the files of the kernel are.
    """
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    about = root / "proc/meminfo"
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    free = next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), float(pages))
    return min([free, *group_memory(root)])


def group_memory(root: Path) -> Iterator[float]:
    """Bytes left in each control group that this process is in and that has a limit: containers and batch jobs do.

    What a group uses as a cache of files is left to whoever needs it.
    """
    about = root / "proc/self/cgroup"
    for line in about.read_text(encoding="utf-8").splitlines() if about.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            home, names, total = root / "sys/fs/cgroup", ("memory.max", "memory.current"), ""
        elif "memory" in controllers.split(","):
            home, names = root / "sys/fs/cgroup/memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
            total = "total_"
        else:
            continue
        group = home / path.lstrip("/")
        for folder in [group, *group.parents]:
            files = [folder / name for name in (*names, "memory.stat")]
            # In a container the path is that of the host, and only its root is there.
            if folder.is_relative_to(home) and all(file.exists() for file in files):
                limit, used, parts = (file.read_text(encoding="utf-8").strip() for file in files)
                if limit != "max":
                    found = dict(part.split() for part in parts.splitlines())
                    cached = sum(float(found[f"{total}{kind}_file"]) for kind in ("active", "inactive"))
                    yield float(limit) - float(used) + cached


def place(
    splits: dict[str, ShardFiles],
    placement: str,
    memory: float | None,
    device: torch.device,
    flips: list[str],
    team: Team,
    processes: int,
) -> tuple[dict[str, Source], str]:
    """The sources of the splits, and a line on where they are and why.

    `placement` is "auto", "device", "host" or "disk"; `memory` is what jets may take of main memory, in GB, by default
    a part of what is free, for all `processes` on this machine together. Only jets of the split "train" are flipped.
    All of a team choose alike. BadInput if the jets do not fit.
    """
    size = float(sum(files.bytes.sum() for files in splits.values()))
    allowed = (memory * GB if memory is not None else OF_HOST * free_memory()) / processes
    on_device = OF_DEVICE * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else allowed
    allowed, on_device = team.least([allowed, on_device])
    room = f"{size / GB:.3g} GB of jets, {allowed / GB:.3g} GB allowed in main memory"
    if device.type == "cuda":
        room += f", {on_device / GB:.3g} GB on {device}"
    chosen = placement
    if placement == "auto":
        chosen = "device" if size <= on_device else "host" if size <= allowed else "disk"
    say = f"placement {chosen}{' (auto)' if placement == 'auto' else ''}: {room}"
    given = {name: flips if name == "train" else [] for name in splits}
    if chosen == "disk":
        window = window_bytes(splits, allowed)
        sources: dict[str, Source] = {name: OnDisk(files, window, given[name]) for name, files in splits.items()}
        return sources, f"{say}; windows of {window / GB:.3g} GB are shuffled one by one"
    if size > (on_device if chosen == "device" else allowed):
        raise BadInput(f"compute.placement: {chosen} cannot be: {room}; use auto or disk")
    where = device if chosen == "device" else torch.device("cpu")
    read = {name: files.read(range(len(files.paths)), where) for name, files in splits.items()}
    return {name: InMemory(jets, given[name]) for name, jets in read.items()}, say


def window_bytes(splits: dict[str, ShardFiles], allowed: float) -> float:
    """Size of a window so that two of them and a shard that is being read fit; BadInput if there is no room for it."""
    largest = float(max(files.bytes.max() for files in splits.values()))
    window = (allowed - CHECKING * largest) / 2
    if window < largest:
        least = (CHECKING + 2) * largest / GB
        raise BadInput(
            f"compute.memory: {allowed / GB:.3g} GB is too little for windows of shards of {largest / GB:.3g} GB; "
            f"give at least {least:.3g}, or make smaller shards (jets_per_block)"
        )
    return window
