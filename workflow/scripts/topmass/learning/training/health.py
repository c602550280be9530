"""One line for what stops a training: a loss that is not finite, or too little memory."""

from pathlib import Path

import numpy as np
import torch

from topmass.files import whole
from topmass.learning.team import Team

NAMED = 5
"""Events of a bad batch that the message names; the file has all of them."""


def describe_bad(epoch: int, step: int, events: np.ndarray, path: Path, learning_rate: float, team: Team) -> str:
    """A line on a batch, of events (B,), whose loss is not finite; the first of a team writes the events to `path`."""
    if team.rank == 0:
        with whole(path) as part:
            np.savetxt(part, events, "%d", header=f"events of epoch {epoch}, step {step + 1}")
    first = ", ".join(map(str, events[:NAMED])) + (", …" if len(events) > NAMED else "")
    return (
        f"epoch {epoch}: the loss is not finite at step {step + 1}, jets of the events {first} "
        f"(all {len(events)} in {path}); if there is nothing wrong with them, "
        f"try a learning rate below {learning_rate:g}"
    )


def describe_memory(error: RuntimeError, batch: int) -> str | None:
    """A line for an error that means too little memory, with a batch that may fit; None for any other."""
    if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
        return None
    smaller = 1 << max(0, (batch - 1).bit_length() - 1)
    return f"out of memory with recipe.batch {batch}: try {smaller}" if batch > 1 else "out of memory with a single jet"
