"""What a training shows while it runs: a line on the terminal, plain lines in the log, TensorBoard event files."""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from topmass.console import say
from topmass.files import BadInput
from topmass.learning.resuming.state import Epoch, State

LOOK_EVERY = {"cpu": 1, "cuda": 200}
"""Steps between two looks at the loss for the line on the terminal."""


class Progress:
    """Shows one training. `events` is a folder for TensorBoard's event files, or None."""

    def __init__(self, state: State, jets: int, events: Path | None) -> None:
        self.state, self.jets = state, jets
        self.bar: tqdm | None = None
        self.writer = None
        if events is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise BadInput(
                    "compute.tensorboard: the package tensorboard is not installed; install it, or set this to false"
                ) from None
            self.writer = SummaryWriter(str(events), purge_step=state.rows[-1].jets + 1 if state.rows else 0)

    def step(self, jets: int, loss: Callable[[], float]) -> None:
        """After each step: the line on the terminal, where there is one."""
        if self.bar is None:
            done = min(self.state.step * self.state.recipe.batch, self.jets)
            title = f"epoch {self.state.epoch}/{self.state.recipe.epochs}"
            self.bar = tqdm(
                None, title, self.jets, initial=done, unit="jet", leave=False, disable=None, unit_scale=True
            )
        if not self.bar.disable and self.state.step % LOOK_EVERY[self.state.device.type] == 0:
            self.bar.set_postfix_str(self.so_far(loss()), refresh=False)
        self.bar.update(jets)

    def so_far(self, loss: float) -> str:
        """Loss since the last validation, learning rate, and the errors of that."""
        said = f"loss {loss:.4f}, rate {self.state.learning_rate:.2g}"
        if self.state.rows:
            last = self.state.rows[-1]
            said += f", MAE {last.mae:.1f} GeV, MRE {last.mre:.1%}, {self.minutes_left():.0f} min for all epochs"
        return said

    def minutes_left(self) -> float:
        """What the rest of the epochs will take, at the mean rate so far."""
        rows, whole = self.state.rows, self.state.recipe.epochs * self.jets
        return sum(row.seconds for row in rows) * (whole / rows[-1].jets - 1) / 60

    def epoch(self, row: Epoch) -> None:
        """After each validation: a line, and the row for TensorBoard."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        say(
            f"epoch {row.epoch:.4g}/{self.state.recipe.epochs}, {row.jets:,} jets: loss {row.loss:.4f}, "
            f"validation MAE {row.mae:.2f} GeV, MRE {row.mre:.1%}, "
            f"learning rate {row.learning_rate:.2g}, {row.jets_per_second:,.0f} jets/s, "
            f"{self.minutes_left():.1f} min left"
        )
        if self.writer is not None:
            for name, value in asdict(row).items():
                if name not in ("epoch", "jets") and math.isfinite(value):
                    self.writer.add_scalar(name, value, row.jets)
            self.writer.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.close()
        if self.writer is not None:
            self.writer.close()
