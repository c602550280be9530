"""Checkpoints of a training on disk: one safetensors file, its metadata JSON, and the one before it beside it.

A new checkpoint is written beside the old one and moved in only when it is whole on disk; the old one then becomes
`previous.safetensors`, to fall back on.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from topmass.console import say
from topmass.files import BadInput, damage, whole
from topmass.learning.tensors import DAMAGED, read_tensors, to_bytes

VERSION = 2


class Checkpoint(NamedTuple):
    """Tensors by name, numbers as JSON takes them, and what the training is of: settings, data, network."""

    tensors: dict[str, Tensor]
    numbers: dict
    identity: dict

    def save(self, path: Path) -> None:
        """Write; whatever happens meanwhile, the checkpoint that was there stays good."""
        about = json.dumps({"version": VERSION, "numbers": self.numbers, "identity": self.identity}, sort_keys=True)
        with whole(path) as part:
            part.write_bytes(to_bytes(self.tensors, about))
            if path.exists():
                keep_beside(path)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read; BadInput if the file is damaged or not a checkpoint of this version."""
        try:
            tensors, text = read_tensors(path)
            about = json.loads(text)
            if about["version"] != VERSION:
                raise ValueError(f"version {about['version']}, this code reads {VERSION}")
            return cls(tensors, dict(about["numbers"]), dict(about["identity"]))
        except DAMAGED as error:
            raise damage(error, f"{path}: not a whole checkpoint") from None


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is."""
    return path.with_name(f"previous{path.suffix}")


def keep_beside(path: Path) -> None:
    """Let the previous checkpoint be the present one, which stays where it is too."""
    previous(path).unlink(missing_ok=True)
    try:
        os.link(path, previous(path))
    except OSError:
        # Some file systems have no hard links: then there is no fallback.
        return


def find_checkpoint(path: Path, identity: Mapping) -> Checkpoint | None:
    """The checkpoint of this very training, or None.

    One that is damaged, or of other settings, data or network, is set aside with a line that says why.
    """
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            found = Checkpoint.load(candidate)
        except BadInput as error:
            say(f"{error}; set aside as {set_aside(candidate).name}")
            continue
        differing = "; ".join(differences(found.identity, json.loads(json.dumps(identity))))
        if not differing:
            return found
        say(f"{candidate}: of another training ({differing}); set aside as {set_aside(candidate).name}")
    return None


def set_aside(path: Path) -> Path:
    """Rename to a name that is free; the new name."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}.set_aside")).exists():
        number += 1
    return path.rename(aside)


def differences(there: Mapping, here: Mapping, key: str = "") -> Iterator[str]:
    """What differs between two identities, key by key."""
    # By their texts: what is read from a file may have names that are none.
    for name in sorted({*there, *here}, key=str):
        old, new = there.get(name), here.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{key}{name}.")
        elif old != new:
            yield f"{key}{name} {old} there, {new} here"


def remove_checkpoints(path: Path) -> None:
    """Remove the checkpoints of a training that is complete, and their folders if these are empty then."""
    for file in (path, previous(path)):
        file.unlink(missing_ok=True)
    for folder in list(path.parents)[:2]:
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
