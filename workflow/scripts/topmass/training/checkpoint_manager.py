"""Saving and restoring of the checkpoints of one training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from topmass.console import describe, log_info
from topmass.files import classify_read_error
from topmass.models.safetensors_io import CORRUPT_TENSORS
from topmass.process_group import ProcessGroup
from topmass.training.checkpoint import Checkpoint, find_checkpoint
from topmass.training.state import TrainState


@dataclass(frozen=True)
class CheckpointManager:
    """Manager of the checkpoints of one training; only rank 0 writes.

    Attributes:
        identity: Identity of the run; only a checkpoint with the same identity is restored.
        order: Description of the order of the training jets, which depends on their placement.
    """

    path: Path
    identity: Mapping
    state: TrainState
    order: str
    team: ProcessGroup

    def keep(self) -> None:
        """Write a checkpoint; if the disk or memory is too small, log the error and keep the previous one."""
        if self.team.rank:
            return
        numbers = self.state.numbers() | {"order": self.order}
        try:
            Checkpoint(self.state.tensors(), numbers, dict(self.identity)).save(self.path)
        except (OSError, MemoryError) as error:
            log_info(f"no checkpoint written: {describe(error)}; the one before it is kept")

    def restore(self) -> None:
        """Restore the state from the checkpoint of this run, if there is one.

        Rank 0 searches before the other ranks, because it renames unusable files.

        Raises:
            BadInput: The checkpoint lacks values that this training needs.
        """
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
        except CORRUPT_TENSORS as error:
            raise classify_read_error(error, f"{self.path}: does not hold what this training needs") from None
        if self.team.rank == 0:
            log_info(f"goes on in epoch {self.state.epoch} after {self.state.step} steps, from {self.path}")
            if self.state.step and order != self.order:
                log_info("the jets are kept in another way now: in this epoch some come twice and others not at all")
