"""Checkpoints of a training: safetensors files with JSON metadata.

A new checkpoint replaces the old one only once it is complete on disk. The old one becomes `previous.safetensors`,
the fallback.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from topmass.console import log_info
from topmass.files import BadInput, atomic_write, classify_read_error
from topmass.models.safetensors_io import CORRUPT_TENSORS, read_tensors, to_bytes

CHECKPOINT_VERSION = 3


class Checkpoint(NamedTuple):
    """Contents of a checkpoint.

    Attributes:
        tensors: Tensors by name.
        numbers: Values that JSON can represent.
        identity: Identity of the run: settings, data and network.
    """

    tensors: dict[str, Tensor]
    numbers: dict
    identity: dict

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically; the existing one stays valid if writing fails."""
        about = json.dumps(
            {"version": CHECKPOINT_VERSION, "numbers": self.numbers, "identity": self.identity}, sort_keys=True
        )
        with atomic_write(path) as part:
            part.write_bytes(to_bytes(self.tensors, about))
            if path.exists():
                keep_previous(path)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Load a checkpoint.

        Raises:
            BadInput: The file is corrupt, or not a checkpoint of this version.
        """
        try:
            tensors, text = read_tensors(path)
            about = json.loads(text)
            if about["version"] != CHECKPOINT_VERSION:
                raise ValueError(f"version {about['version']}, this code reads {CHECKPOINT_VERSION}")
            return cls(tensors, dict(about["numbers"]), dict(about["identity"]))
        except CORRUPT_TENSORS as error:
            raise classify_read_error(error, f"{path}: not a whole checkpoint") from None


def previous(path: Path) -> Path:
    """Return the path of the checkpoint before the one at `path`."""
    return path.with_name(f"previous{path.suffix}")


def keep_previous(path: Path) -> None:
    """Hard-link the present checkpoint as the previous one."""
    previous(path).unlink(missing_ok=True)
    try:
        os.link(path, previous(path))
    except OSError:
        # Some file systems have no hard links: then there is no fallback.
        return


def find_checkpoint(path: Path, identity: Mapping) -> Checkpoint | None:
    """Return the checkpoint of the run with this identity, or None.

    A checkpoint that is corrupt or has another identity is renamed, and the reason is logged.
    """
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            found = Checkpoint.load(candidate)
        except BadInput as error:
            log_info(f"{error}; set aside as {quarantine(candidate).name}")
            continue
        differing = "; ".join(identity_differences(found.identity, json.loads(json.dumps(identity))))
        if not differing:
            return found
        log_info(f"{candidate}: of another training ({differing}); set aside as {quarantine(candidate).name}")
    return None


def quarantine(path: Path) -> Path:
    """Rename a file to a free name, and return the new path."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}.set_aside")).exists():
        number += 1
    return path.rename(aside)


def identity_differences(there: Mapping, here: Mapping, key: str = "") -> Iterator[str]:
    """Yield a line for each key whose values differ between two identities."""
    # Sorted as text: a corrupt file may have keys that are not strings.
    for name in sorted({*there, *here}, key=str):
        old, new = there.get(name), here.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from identity_differences(old, new, f"{key}{name}.")
        elif old != new:
            yield f"{key}{name} {old} there, {new} here"


def remove_checkpoints(path: Path) -> None:
    """Remove the checkpoints of a completed training, and their folders if empty."""
    for file in (path, previous(path)):
        file.unlink(missing_ok=True)
    for folder in list(path.parents)[:2]:
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
