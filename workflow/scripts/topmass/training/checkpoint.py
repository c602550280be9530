"""Checkpoints of a training: safetensors files with JSON metadata.

A new checkpoint replaces the old one only once it is complete on disk. The old one becomes `previous.safetensors`,
the fallback.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from topmass.console import describe, log_info
from topmass.files import BadInput, atomic_write, classify_read_error
from topmass.models.safetensors_io import CORRUPT_TENSORS, read_tensors, to_bytes
from topmass.process_group import ProcessGroup
from topmass.training.state import TrainState

CHECKPOINT_VERSION = 3


class Checkpoint(NamedTuple):
    """Contents of a checkpoint.

    Attributes:
        tensors: Tensors by name.
        scalars: Values that JSON can represent.
        identity: Identity of the run: settings, data and network.
    """

    tensors: dict[str, Tensor]
    scalars: dict
    identity: dict

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically; the existing one stays valid if writing fails."""
        metadata = {"version": CHECKPOINT_VERSION, "numbers": self.scalars, "identity": self.identity}
        with atomic_write(path) as part:
            part.write_bytes(to_bytes(self.tensors, json.dumps(metadata, sort_keys=True)))
            if path.exists():
                previous(path).unlink(missing_ok=True)
                # Some file systems have no hard links: then there is no fallback.
                with suppress(OSError):
                    os.link(path, previous(path))

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Load a checkpoint.

        Raises:
            BadInput: The file is corrupt, or not a checkpoint of this version.
        """
        try:
            tensors, text = read_tensors(path)
            metadata = json.loads(text)
            if metadata["version"] != CHECKPOINT_VERSION:
                raise ValueError(f"version {metadata['version']}, this code reads {CHECKPOINT_VERSION}")
            return cls(tensors, dict(metadata["numbers"]), dict(metadata["identity"]))
        except CORRUPT_TENSORS as error:
            raise classify_read_error(error, f"{path}: not a complete checkpoint") from None


@dataclass(frozen=True)
class CheckpointManager:
    """Manager of the checkpoints of one training; only rank 0 writes.

    Attributes:
        path: Checkpoint file.
        identity: Identity of the run; only a checkpoint with the same identity is restored.
        state: Training state.
        order: Description of the order of the training jets, which depends on their placement.
        group: Process group.
    """

    path: Path
    identity: Mapping
    state: TrainState
    order: str
    group: ProcessGroup

    def save(self) -> None:
        """Write a checkpoint; if the disk or memory is too small, log the error and keep the previous one."""
        if self.group.rank:
            return
        scalars = self.state.scalar_state() | {"order": self.order}
        try:
            Checkpoint(self.state.tensor_state(), scalars, dict(self.identity)).save(self.path)
        except (OSError, MemoryError) as error:
            log_info(f"no checkpoint written: {describe(error)}; the previous one remains valid")

    def restore(self) -> None:
        """Restore the state from the checkpoint of this run, if there is one.

        Rank 0 searches before the other ranks, because it renames unusable files.

        Raises:
            BadInput: The checkpoint lacks values that this training needs.
        """
        if self.group.rank:
            torch.distributed.barrier()
        checkpoint = find_checkpoint(self.path, self.identity)
        if self.group.size > 1 and not self.group.rank:
            torch.distributed.barrier()
        if checkpoint is None:
            return
        try:
            self.state.restore(checkpoint.tensors, checkpoint.scalars)
            order = checkpoint.scalars["order"]
        except CORRUPT_TENSORS as error:
            raise classify_read_error(error, f"{self.path}: lacks values that this training needs") from None
        if self.group.rank == 0:
            log_info(f"resuming from epoch {self.state.epoch}, step {self.state.step} ({self.path})")
            if self.state.step and order != self.order:
                log_info(
                    "the placement of the jets changed after the checkpoint: this epoch uses some jets twice and "
                    "others not at all"
                )


def previous(path: Path) -> Path:
    """Return the path of the checkpoint before the one at `path`."""
    return path.with_name(f"previous{path.suffix}")


def find_checkpoint(path: Path, identity: Mapping) -> Checkpoint | None:
    """Return the checkpoint of the run with this identity, or None.

    A checkpoint that is corrupt or has another identity is renamed, and the reason is logged.
    """
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            checkpoint = Checkpoint.load(candidate)
        except BadInput as error:
            log_info(f"{error}; set aside as {quarantine(candidate).name}")
            continue
        differences = "; ".join(identity_differences(checkpoint.identity, json.loads(json.dumps(identity))))
        if not differences:
            return checkpoint
        log_info(f"{candidate}: of another training ({differences}); set aside as {quarantine(candidate).name}")
    return None


def quarantine(path: Path) -> Path:
    """Rename a file to a free name, and return the new path."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}.set_aside")).exists():
        number += 1
    return path.rename(aside)


def identity_differences(saved: Mapping, present: Mapping, prefix: str = "") -> Iterator[str]:
    """Yield a text for each key whose values differ between two identities."""
    # Sorted as text: a corrupt file may have keys that are not strings.
    for key in sorted({*saved, *present}, key=str):
        old, new = saved.get(key), present.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from identity_differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key} {old} in the checkpoint, {new} now"


def remove_checkpoints(path: Path) -> None:
    """Remove the checkpoints of a completed training, and their folders if empty."""
    for file in (path, previous(path)):
        file.unlink(missing_ok=True)
    for folder in list(path.parents)[:2]:
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
