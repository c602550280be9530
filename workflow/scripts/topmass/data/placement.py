"""Placement of the training jets: device, host or disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from topmass.data.datasets import Dataset, InMemoryDataset, ShardedDataset
from topmass.data.shard_files import CHECKING, ShardFiles
from topmass.files import BadInput
from topmass.limits import control_groups
from topmass.process_group import ProcessGroup

OF_DEVICE, OF_HOST = 0.5, 0.6
"""Fractions of the free GPU and main memory that jets may take; the rest is for the network."""
GB = 1e9


def free_memory(root: Path = Path("/")) -> float:
    """Return the main memory that this process can still allocate, in bytes, within the limits of its control groups.

    Args:
        root: Parent folder of `proc` and `sys`.
    """
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    about = root / "proc/meminfo"
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    free = next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), float(pages))
    return min([free, *cgroup_memory_limit(root)])


def cgroup_memory_limit(root: Path) -> Iterator[float]:
    """Yield the free memory, in bytes, of each control group of this process with a limit.

    Containers and batch jobs have such limits. The page cache counts as free, because the kernel reclaims it.

    Args:
        root: Parent folder of `proc` and `sys`.
    """
    for folder, version in control_groups("memory", root):
        names, total = ("memory.max", "memory.current"), ""
        if version == 1:
            names, total = ("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_"
        files = [folder / name for name in (*names, "memory.stat")]
        if all(file.exists() for file in files):
            limit, used, parts = (file.read_text(encoding="utf-8").strip() for file in files)
            if limit != "max":
                found = dict(part.split() for part in parts.splitlines())
                cached = sum(float(found[f"{total}{kind}_file"]) for kind in ("active", "inactive"))
                yield float(limit) - float(used) + cached


def choose_placement(
    splits: dict[str, ShardFiles],
    placement: str,
    memory: float | None,
    device: torch.device,
    flips: list[str],
    team: ProcessGroup,
    processes: int,
) -> tuple[dict[str, Dataset], str]:
    """Choose the placement of the jets, and load them unless it is "disk". All ranks choose the same placement.

    Args:
        splits: Shards by split.
        placement: "auto", "device", "host" or "disk".
        memory: Main memory for jets, GB, for all processes on this machine together. Default: the fraction `OF_HOST` of
            the free memory.
        device: Device of the training.
        flips: Directions of random reflections; they apply to the split "train" only.
        team: Process group.
        processes: Number of processes on this machine.

    Returns:
        Datasets by split, and a log line with the placement and its reason.

    Raises:
        BadInput: The jets do not fit.
    """
    size = float(sum(files.bytes.sum() for files in splits.values()))
    allowed = (memory * GB if memory is not None else OF_HOST * free_memory()) / processes
    on_device = OF_DEVICE * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else allowed
    allowed, on_device = team.all_reduce_min([allowed, on_device])
    room = f"{size / GB:.3g} GB of jets, {allowed / GB:.3g} GB allowed in main memory"
    if device.type == "cuda":
        room += f", {on_device / GB:.3g} GB on {device}"
    chosen = placement
    if placement == "auto":
        chosen = "device" if size <= on_device else "host" if size <= allowed else "disk"
    say = f"placement {chosen}{' (auto)' if placement == 'auto' else ''}: {room}"
    given = {name: flips if name == "train" else [] for name in splits}
    if chosen == "disk":
        window = shuffle_buffer_bytes(splits, allowed)
        sources: dict[str, Dataset] = {
            name: ShardedDataset(files, window, given[name]) for name, files in splits.items()
        }
        return sources, f"{say}; windows of {window / GB:.3g} GB are shuffled one by one"
    if size > (on_device if chosen == "device" else allowed):
        raise BadInput(f"compute.placement: {chosen} cannot be: {room}; use auto or disk")
    where = device if chosen == "device" else torch.device("cpu")
    read = {name: files.read(range(len(files.paths)), where, f"reading {name} jets") for name, files in splits.items()}
    return {name: InMemoryDataset(jets, given[name]) for name, jets in read.items()}, say


def shuffle_buffer_bytes(splits: dict[str, ShardFiles], allowed: float) -> float:
    """Return the window size, in bytes, for which two windows and a shard that is being read fit into memory.

    Args:
        splits: Shards by split.
        allowed: Main memory for jets, bytes.

    Raises:
        BadInput: The largest shard does not fit into a window.
    """
    largest = float(max(files.bytes.max() for files in splits.values()))
    window = (allowed - CHECKING * largest) / 2
    if window < largest:
        least = (CHECKING + 2) * largest / GB
        raise BadInput(
            f"compute.memory: {allowed / GB:.3g} GB is too little for windows of shards of {largest / GB:.3g} GB; "
            f"give at least {least:.3g}, or make smaller shards (jets_per_block)"
        )
    return window
