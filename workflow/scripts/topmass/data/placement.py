"""Placement of the training jets: device, host or disk."""

from pathlib import Path

import psutil
import torch

from topmass.data.datasets import Dataset, InMemoryDataset, ShardedDataset
from topmass.data.shard_files import LOAD_FACTOR, ShardFiles
from topmass.files import BadInput
from topmass.limits import control_groups
from topmass.process_group import ProcessGroup

DEVICE_FRACTION, HOST_FRACTION = 0.5, 0.6
"""Fractions of the free GPU and main memory that jets may take; the rest is for the network."""
GB = 1e9


def free_memory(root: Path = Path("/")) -> float:
    """Return the main memory that this process can still allocate, in bytes.

    Considers the limits of all its control groups. Their page cache counts as free, because the kernel reclaims it.
    `root` contains the kernel's files.
    """
    limits = [float(psutil.virtual_memory().available)]
    version_1 = ["memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"]
    version_2 = ["memory.max", "memory.current", "memory.stat"]
    for (limit, used, statistics), version in control_groups("memory", version_2, version_1, root):
        if limit != "max":
            sizes = dict(line.split() for line in statistics.splitlines())
            total = "total_" if version == 1 else ""
            cached = float(sizes[f"{total}active_file"]) + float(sizes[f"{total}inactive_file"])
            limits.append(float(limit) - float(used) + cached)
    return min(limits)


def choose_placement(
    splits: dict[str, ShardFiles],
    placement: str,
    memory: float | None,
    device: torch.device,
    flips: list[str],
    group: ProcessGroup,
    processes: int,
) -> tuple[dict[str, Dataset], str]:
    """Choose the placement of the jets, and load them unless it is "disk". All ranks choose the same placement.

    Args:
        splits: Shards by split.
        placement: "auto", "device", "host" or "disk".
        memory: Main memory for jets, GB, for all processes on this machine together. Default: the fraction
            `HOST_FRACTION` of the free memory.
        device: Device of the training.
        flips: Directions of random reflections; they apply to the split "train" only.
        group: Process group.
        processes: Number of processes on this machine.

    Returns:
        Datasets by split, and a log line with the placement and its reason.

    Raises:
        BadInput: The jets do not fit.
    """
    size = float(sum(files.bytes.sum() for files in splits.values()))
    allowed = (memory * GB if memory is not None else HOST_FRACTION * free_memory()) / processes
    on_device = DEVICE_FRACTION * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else allowed
    allowed, on_device = group.all_reduce_min([allowed, on_device])
    room = f"{size / GB:.3g} GB of jets, {allowed / GB:.3g} GB allowed in main memory"
    if device.type == "cuda":
        room += f", {on_device / GB:.3g} GB on {device}"
    chosen = placement
    if placement == "auto":
        chosen = "device" if size <= on_device else "host" if size <= allowed else "disk"
    message = f"placement {chosen}{' (auto)' if placement == 'auto' else ''}: {room}"
    flips_of = {split: flips if split == "train" else [] for split in splits}
    datasets: dict[str, Dataset] = {}
    if chosen == "disk":
        window = shuffle_buffer_bytes(splits, allowed)
        for split, files in splits.items():
            datasets[split] = ShardedDataset(files, window, flips_of[split])
        return datasets, f"{message}; windows of {window / GB:.3g} GB are shuffled one by one"
    if size > (on_device if chosen == "device" else allowed):
        raise BadInput(f"compute.placement: {chosen} is impossible: {room}; use auto or disk")
    storage = device if chosen == "device" else torch.device("cpu")
    for split, files in splits.items():
        jets = files.read(range(len(files.paths)), storage, f"reading {split} jets")
        datasets[split] = InMemoryDataset(jets, flips_of[split])
    return datasets, message


def shuffle_buffer_bytes(splits: dict[str, ShardFiles], allowed: float) -> float:
    """Return the window size, in bytes, for which two windows and a shard that is being read fit into memory."""
    largest = float(max(files.bytes.max() for files in splits.values()))
    window = (allowed - LOAD_FACTOR * largest) / 2
    if window < largest:
        minimum = (LOAD_FACTOR + 2) * largest / GB
        raise BadInput(
            f"compute.memory: {allowed / GB:.3g} GB is too little for windows of shards of {largest / GB:.3g} GB; "
            f"use at least {minimum:.3g}, or smaller shards (jets_per_block)"
        )
    return window
