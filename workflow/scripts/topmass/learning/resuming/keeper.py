"""The checkpoints of one training: when there is a state to keep, or one to go on from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from topmass.console import describe, say
from topmass.files import damage
from topmass.learning.resuming.checkpoint import Checkpoint, find_checkpoint
from topmass.learning.resuming.state import State
from topmass.learning.team import Team
from topmass.learning.tensors import DAMAGED


@dataclass(frozen=True)
class Keeper:
    """Writes the checkpoints of a state, and finds the one to go on from."""

    path: Path
    identity: Mapping
    state: State
    order: str
    team: Team

    def keep(self) -> None:
        """Write a checkpoint; a disk that refuses, or too little memory, is told, and the one before stays."""
        if self.team.rank:
            return
        numbers = self.state.numbers() | {"order": self.order}
        try:
            Checkpoint(self.state.tensors(), numbers, dict(self.identity)).save(self.path)
        except (OSError, MemoryError) as error:
            say(f"no checkpoint written: {describe(error)}; the one before it is kept")

    def restore(self) -> None:
        """Go on from the checkpoint, if there is one of this training; the first process looks before the others."""
        if self.team.rank:
            torch.distributed.barrier()
        found = find_checkpoint(self.path, self.identity)
        if self.team.size > 1 and not self.team.rank:
            torch.distributed.barrier()
        if found is None:
            return
        try:
            self.state.restore(found.tensors, found.numbers)
            order = found.numbers["order"]
        except DAMAGED as error:
            raise damage(error, f"{self.path}: does not hold what this training needs") from None
        if self.team.rank == 0:
            say(f"goes on in epoch {self.state.epoch} after {self.state.step} steps, from {self.path}")
            if self.state.step and order != self.order:
                say("the jets are kept in another way now: in this epoch some come twice and others not at all")
