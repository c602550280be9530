"""Progress of a training: progress bar, log and TensorBoard event files."""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from topmass.console import log_info
from topmass.files import BadInput
from topmass.progress import Progress
from topmass.training.state import TrainState, ValidationRecord

POLL_EVERY = {"cpu": 1, "cuda": 200}
"""Steps between reads of the loss, each of which makes a GPU wait for the host."""


class TrainingProgress:
    """Progress of one training with `jets` per epoch. `events` is a folder for TensorBoard event files, or None.

    Raises:
        BadInput: `events` is set, but TensorBoard is not installed.
    """

    def __init__(self, state: TrainState, jets: int, events: Path | None) -> None:
        self.state, self.jets = state, jets
        self.writer = None
        if events is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise BadInput(
                    "compute.tensorboard: the package tensorboard is not installed; install it, or set this to false"
                ) from None
            self.writer = SummaryWriter(str(events), purge_step=state.rows[-1].jets + 1 if state.rows else 0)
        self.bar = self.epoch_bar()

    def epoch_bar(self) -> Progress:
        """Return the progress bar of the present epoch; its time left covers all epochs."""
        state, epochs = self.state, self.state.recipe.epochs
        done = min(state.step * state.recipe.batch_size, self.jets)
        remaining = (epochs - state.epoch) * self.jets
        return Progress(f"epoch {state.epoch} of {epochs}", self.jets, done=done, remaining_after=remaining)

    def step(self, jets: int, loss: Callable[[], float]) -> None:
        """Count the jets of one step; show the loss since the last validation, and the errors of that."""
        note = None
        if self.state.step % POLL_EVERY[self.state.device.type] == 0:
            note = f"loss {loss():.4f}, learning rate {self.state.learning_rate:.2g}"
            if self.state.rows:
                note += f", MAE {self.state.rows[-1].mae:.1f} GeV, MRE {self.state.rows[-1].mre:.1%}"
        self.bar.update(jets, note)

    def epoch(self, row: ValidationRecord) -> None:
        """Log a validation, and write its row for TensorBoard."""
        self.bar.close()
        # At the mean rate so far.
        seconds = sum(previous.seconds for previous in self.state.rows)
        minutes_left = seconds * (self.state.recipe.epochs * self.jets / row.jets - 1) / 60
        log_info(
            f"epoch {row.epoch:.4g}/{self.state.recipe.epochs}, {row.jets:,} jets: loss {row.loss:.4f}, "
            f"validation MAE {row.mae:.2f} GeV, MRE {row.mre:.1%}, "
            f"learning rate {row.learning_rate:.2g}, {row.jets_per_second:,.0f} jets/s, "
            f"{minutes_left:.1f} min left"
        )
        if self.writer is not None:
            for name, value in asdict(row).items():
                if name not in ("epoch", "jets") and math.isfinite(value):
                    self.writer.add_scalar(name, value, row.jets)
            self.writer.flush()
        if not self.state.should_stop():
            self.bar = self.epoch_bar()

    def close(self) -> None:
        """Close the progress bar and the event file."""
        self.bar.close()
        if self.writer is not None:
            self.writer.close()
