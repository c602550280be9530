"""Messages for failed, hopeless or over-fitted trainings."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from topmass.files import BadInput, atomic_write
from topmass.process_group import ProcessGroup
from topmass.training.state import ValidationRecord

OVERFIT_TOLERANCE = 0.01
"""Rise of the validation MAE, relative to the best, that counts as over-fitting and not as chance."""
SETTING_KEYS = {"batch_size": "recipe.batch_size", "compile": "compute.compile: false"}
"""Configuration keys, for messages: the number of jets per step, and how to disable `torch.compile`."""
MAX_NAMED_EVENTS = 5
"""Maximum number of events of a bad batch in the message; the file lists all of them."""


def non_finite_loss_message(
    epoch: int, step: int, events: np.ndarray, path: Path, learning_rate: float, group: ProcessGroup
) -> str:
    """Return a message on a batch whose loss is not finite; rank 0 also writes its events to `path`.

    Args:
        epoch: Epoch, from 1.
        step: Index of the step in the epoch, from 0.
        events: Event numbers (B,) of the global batch.
        path: Text file for the events.
        learning_rate: Learning rate of the training, in the advice.
        group: Process group.
    """
    if group.rank == 0:
        with atomic_write(path) as part:
            np.savetxt(part, events, "%d", header=f"events of epoch {epoch}, step {step + 1}")
    first = ", ".join(map(str, events[:MAX_NAMED_EVENTS])) + (", …" if len(events) > MAX_NAMED_EVENTS else "")
    return (
        f"epoch {epoch}: the loss is not finite at step {step + 1}, jets of the events {first} "
        f"(all {len(events)} in {path}); if there is nothing wrong with them, "
        f"try a learning rate below {learning_rate:g}"
    )


def worse_than_constant_message(mae: float, mass: np.ndarray, weight: np.ndarray, learning_rate: float) -> str | None:
    """Return a message if the MAE is not better than that of the best constant prediction, else None.

    Args:
        mae: Best validation MAE, GeV.
        mass: Masses (N,) of the validation jets, GeV.
        weight: Weights (N,) of the validation jets.
        learning_rate: Learning rate of the training, in the advice.
    """
    constant = np.quantile(mass, 0.5, weights=weight, method="inverted_cdf")
    best = float(np.average(np.abs(mass - constant), weights=weight))
    if mae < best:
        return None
    return (
        f"nothing learnt: the best validation MAE is {mae:.2f} GeV, and guessing {constant:.1f} GeV for every jet has "
        f"{best:.2f} GeV; try a learning rate below {learning_rate:g}, or more epochs"
    )


def overfitting_message(rows: Sequence[ValidationRecord]) -> str | None:
    """Return a message if the validation MAE rose at the end while the training loss fell, else None."""
    best, last = min(rows, key=lambda row: row.mae), rows[-1]
    if last.mae < best.mae * (1 + OVERFIT_TOLERANCE) or last.loss >= best.loss:
        return None
    return (
        f"over-fitted: the validation MAE was best after epoch {best.epoch:.4g}, {best.mae:.2f} GeV, and has risen to "
        f"{last.mae:.2f} since, while the loss went on falling; the best weights are kept; more jets, or fewer epochs"
    )


@contextmanager
def translate_torch_errors(batch: int, settings: Mapping[str, str] = SETTING_KEYS) -> Iterator[None]:
    """Convert torch errors that the user can fix into `BadInput`.

    Args:
        batch: Jets per step.
        settings: Names of the user's settings, with the keys of `SETTING_KEYS`.

    Raises:
        BadInput: The memory is too small, or `torch.compile` fails.
    """
    try:
        yield
    except RuntimeError as error:
        described = memory_message(error, batch, settings["batch_size"]) or compile_message(error, settings["compile"])
        if described is None:
            raise
        raise BadInput(described) from None


def memory_message(error: RuntimeError, batch: int, setting: str) -> str | None:
    """Return a message with a smaller batch size if the error means too little memory, else None."""
    if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
        return None
    smaller = 1 << max(0, (batch - 1).bit_length() - 1)
    return f"out of memory with {setting} {batch}: try {smaller}" if batch > 1 else "out of memory with a single jet"


def compile_message(error: RuntimeError, setting: str) -> str | None:
    """Return a message if the error is one of `torch.compile`, which precedes the first step; else None."""
    # Not at the top: the import takes seconds. A training has already imported the module.
    from torch._dynamo.exc import TorchDynamoException

    if not isinstance(error, TorchDynamoException):
        return None
    cause = getattr(error, "inner_exception", error)
    why = f"{type(cause).__name__}: {cause}".splitlines()[0]
    return (
        f"torch.compile cannot make kernels here ({why}); it needs a C++ compiler, such as g++, and a "
        f"folder for them that can be written (TORCHINDUCTOR_CACHE_DIR); or leave it out with {setting}"
    )
