"""Messages for failed, hopeless or over-fitted trainings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from topmass.files import BadInput, atomic_write
from topmass.process_group import ProcessGroup
from topmass.training.state import ValidationRecord

OVERFIT_TOLERANCE = 0.01
"""Rise of the validation MAE, relative to the best, that counts as over-fitting and not as chance."""
MAX_NAMED_EVENTS = 5
"""Maximum number of events of a bad batch in the message; the file lists all of them."""


def non_finite_loss_message(
    epoch: int, step: int, events: np.ndarray, path: Path, learning_rate: float, group: ProcessGroup
) -> str:
    """Return a message on a batch whose loss is not finite; rank 0 also writes its events (B,) to `path`.

    Epochs count from 1, steps of an epoch from 0.
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
    """Return a message if the best constant prediction for the validation jets has a lower MAE, else None."""
    median = np.quantile(mass, 0.5, weights=weight, method="inverted_cdf")
    constant_mae = float(np.average(np.abs(mass - median), weights=weight))
    if mae < constant_mae:
        return None
    return (
        f"nothing learnt: the best validation MAE is {mae:.2f} GeV, and guessing {median:.1f} GeV for every jet has "
        f"{constant_mae:.2f} GeV; try a learning rate below {learning_rate:g}, or more epochs"
    )


def overfitting_message(rows: Sequence[ValidationRecord]) -> str | None:
    """Return a message if the validation MAE rose at the end while the training loss fell, else None."""
    best, last = min(rows, key=lambda row: row.mae), rows[-1]
    if last.mae < best.mae * (1 + OVERFIT_TOLERANCE) or last.loss >= best.loss:
        return None
    return (
        f"over-fitted: the validation MAE was best after epoch {best.epoch:.4g}, {best.mae:.2f} GeV, and has risen to "
        f"{last.mae:.2f} since, while the training loss fell; the best weights are kept; use more jets or fewer epochs"
    )


@contextmanager
def translate_torch_errors(batch_size: int) -> Iterator[None]:
    """Raise BadInput if the memory is too small for a batch, or if `torch.compile` fails."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            if batch_size == 1:
                raise BadInput("out of memory with a single jet") from None
            smaller = 1 << (batch_size - 1).bit_length() - 1
            raise BadInput(f"out of memory with recipe.batch_size {batch_size}: try {smaller}") from None
        # Not at the top: the import takes seconds. A training has already imported the module.
        from torch._dynamo.exc import TorchDynamoException

        if not isinstance(error, TorchDynamoException):
            raise
        cause = getattr(error, "inner_exception", error)
        reason = f"{type(cause).__name__}: {cause}".splitlines()[0]
        raise BadInput(
            f"torch.compile failed ({reason}); it needs a C++ compiler, such as g++, and a writable folder for kernels "
            f"(TORCHINDUCTOR_CACHE_DIR); or disable it with compute.compile: false"
        ) from None
