"""One line for what is wrong with a training: a loss that is not finite, too little memory, nothing learnt, …"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from topmass.files import BadInput, whole
from topmass.learning.resuming.state import Epoch
from topmass.learning.team import Team

OVER_FITTED = 0.01
"""Rise of the validation error, relative to the best, that is more than chance and worth a word."""
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


def describe_hopeless(mae: float, mass: np.ndarray, weight: np.ndarray, learning_rate: float) -> str | None:
    """A line if this MAE of jets (N,), GeV, is no better than that of the best constant for them; else None."""
    constant = np.quantile(mass, 0.5, weights=weight, method="inverted_cdf")
    best = float(np.average(np.abs(mass - constant), weights=weight))
    if mae < best:
        return None
    return (
        f"nothing learnt: the best validation MAE is {mae:.2f} GeV, and guessing {constant:.1f} GeV for every jet has "
        f"{best:.2f} GeV; try a learning rate below {learning_rate:g}, or more epochs"
    )


def describe_over_fitting(rows: Sequence[Epoch]) -> str | None:
    """A line if the validation error rose at the end while the loss went on falling; else None."""
    best, last = min(rows, key=lambda row: row.mae), rows[-1]
    if last.mae < best.mae * (1 + OVER_FITTED) or last.loss >= best.loss:
        return None
    return (
        f"over-fitted: the validation MAE was best after epoch {best.epoch:.4g}, {best.mae:.2f} GeV, and has risen to "
        f"{last.mae:.2f} since, while the loss went on falling; the best weights are kept; more jets, or fewer epochs"
    )


@contextmanager
def explained(batch: int) -> Iterator[None]:
    """Turn errors of torch that a user can mend into BadInput; `batch` is the number of jets a step."""
    try:
        yield
    except RuntimeError as error:
        described = describe_memory(error, batch) or describe_compiling(error)
        if described is None:
            raise
        raise BadInput(described) from None


def describe_memory(error: RuntimeError, batch: int) -> str | None:
    """A line for an error that means too little memory, with a batch that may fit; None for any other."""
    if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
        return None
    smaller = 1 << max(0, (batch - 1).bit_length() - 1)
    return f"out of memory with recipe.batch {batch}: try {smaller}" if batch > 1 else "out of memory with a single jet"


def describe_compiling(error: RuntimeError) -> str | None:
    """A line for an error of torch.compile, which comes before the first step; None for any other."""
    # Not at the top: it takes seconds to import, and a training has it by now.
    from torch._dynamo.exc import TorchDynamoException

    if not isinstance(error, TorchDynamoException):
        return None
    cause = getattr(error, "inner_exception", error)
    why = f"{type(cause).__name__}: {cause}".splitlines()[0]
    return (
        f"compute.compile: torch.compile cannot make kernels here ({why}); it needs a C++ compiler, such as g++, and a "
        "folder for them that can be written (TORCHINDUCTOR_CACHE_DIR); or set compute.compile to false"
    )
