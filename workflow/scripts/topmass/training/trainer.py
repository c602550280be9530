"""The training loop."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from topmass.console import log_info
from topmass.data.batching import Minibatch, load_batches
from topmass.data.datasets import Dataset
from topmass.device import autocast
from topmass.files import BadInput
from topmass.preprocessing.shards import MASS_SCALE
from topmass.process_group import ProcessGroup
from topmass.training.diagnostics import non_finite_loss_message
from topmass.training.signals import SignalHandler, TrainingInterrupted
from topmass.training.state import TrainState, ValidationRecord
from topmass.training.validation import validation_errors

CHECK_EVERY = {"cpu": 1, "cuda": 50}
"""Steps between reads of values on the device: each read makes a GPU wait for the host, but is free on a CPU."""


@dataclass
class Trainer:
    """Training loop for a state, which it changes in place.

    Attributes:
        state: Training state.
        jets: Training jets.
        validation: Validation jets.
        seed: Seed of the order of the jets.
        precision: Dtype of autocast.
        bad_events: File for the events of a batch whose loss is not finite.
        team: Process group.
        interrupt: Record of a received signal.
        keep: Function that writes a checkpoint. It is called after each validation, after each `checkpoint_interval`,
            and before an interrupted training exits.
        checkpoint_interval: Minutes between checkpoints.
        progress: Called after each step with the jets of the batch and a function that returns the mean loss so far.
    """

    state: TrainState
    jets: Dataset
    validation: Dataset
    seed: int
    precision: torch.dtype
    bad_events: Path
    team: ProcessGroup = field(default_factory=ProcessGroup)
    interrupt: SignalHandler = field(default_factory=SignalHandler)
    keep: Callable[[], None] = lambda: None
    checkpoint_interval: float = math.inf
    progress: Callable[[int, Callable[[], float]], None] = lambda jets, loss: None

    def __post_init__(self) -> None:
        self.recipe, self.device = self.state.recipe, self.state.device
        self.steps = -(-len(self.jets) // self.recipe.batch_size)
        # Steps of an epoch after which a validation follows.
        number = min(self.steps, self.recipe.validations(len(self.jets)))
        self.stations = [-(-self.steps * i // number) for i in range(1, number + 1)]
        # On the device: the first step of this epoch with a loss that is not finite, and the signals of all processes.
        self.bad = torch.full((), -1, device=self.device)
        self.stops = torch.zeros((), device=self.device)
        self.kept = self.clock = time.monotonic()

    def epochs(self) -> Iterator[ValidationRecord]:
        """Train until the state is complete, and yield a row per validation.

        Raises:
            BadInput: A loss is not finite.
            TrainingInterrupted: A signal was received.
        """
        while not self.state.should_stop():
            yield self.train_until_validation()

    def train_until_validation(self) -> ValidationRecord:
        """Train up to the next validation of this epoch, validate, and return the row."""
        state = self.state
        learning_rate = self.rate(state.first)
        station = next(each for each in self.stations if each > state.first)
        state.network.train()
        self.clock = time.monotonic()
        for cut in islice(self.train_batches(state.step), station - state.step):
            self.training_step(cut)
            state.step += 1
            if state.step % CHECK_EVERY[self.device.type] == 0 or state.step == station or self.local_stop_requested():
                self.check()
        loss = float(state.total[0] / state.total[1])
        self.update_timer()
        validation_loss, mae, mre = self.validate()
        if not math.isfinite(validation_loss):
            raise BadInput(f"epoch {state.epoch}: the validation loss is not finite; try a lower learning rate")
        whole = station == self.steps
        now = len(self.jets) if whole else station * self.recipe.batch_size
        jets = now - state.first * self.recipe.batch_size
        row = ValidationRecord(
            state.epoch if whole else state.epoch - 1 + station / self.steps,
            (state.epoch - 1) * len(self.jets) + now,
            loss, validation_loss, mae * MASS_SCALE, mre, learning_rate, jets / state.seconds, state.seconds,
        )  # fmt: skip
        state.record_validation(row)
        # The next row's time excludes the validation.
        self.clock = time.monotonic()
        self.save_checkpoint()
        return row

    def validate(self) -> tuple[float, float, float]:
        """Return loss, absolute error and relative error of the validation jets, as in `validation_errors`."""
        state, losses = self.state, self.recipe.loss_per_jet
        with state.use_ema_weights():
            found = validation_errors(
                state.network,
                self.validation,
                losses,
                self.device,
                self.precision,
                self.team,
                self.local_stop_requested,
            )
        # Only here, where the averaged weights are no longer in the network.
        if self.local_stop_requested():
            self.checkpoint_and_exit()
        return found

    def train_batches(self, step: int) -> Iterator[Minibatch]:
        """Return the batches of this epoch, beginning with a step."""
        segments = self.jets.shuffled(self.seed, self.state.epoch, step * self.recipe.batch_size)
        return load_batches(segments, self.recipe.batch_size, self.team, self.device, self.jets.device)

    def training_step(self, cut: Minibatch) -> None:
        """Update the weights with one batch, without a GPU synchronisation."""
        state, recipe = self.state, self.recipe
        state.learning_rate = self.rate(state.step)
        batch = cut.on(self.device, self.jets.meta)
        with autocast(self.device, self.precision):
            predicted = state.network(batch)
        # This rank's part of the mean over the global batch; the parts of all ranks add up to the mean.
        loss = (recipe.loss_per_jet(predicted, batch.target) * batch.weight).sum() / cut.weight
        state.optimizer.zero_grad()
        loss.backward()
        loss = loss.detach()
        if self.team.size > 1:
            stop = torch.full_like(loss, float(self.interrupt.received is not None))
            self.team.all_reduce_sum([*(each.grad for each in state.parameters), loss, stop])
            self.stops += stop
        if recipe.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(state.parameters, recipe.gradient_clip_norm)
        state.optimizer.step()
        if state.average:
            torch._foreach_lerp_(state.average, [each.detach() for each in state.parameters], 1 - recipe.ema_decay)
        state.total[0] += loss * cut.weight
        state.total[1] += cut.weight
        self.bad = torch.where(torch.isfinite(loss) | (self.bad >= 0), self.bad, state.step)
        self.progress(cut.jets, self.mean_loss)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step of this epoch."""
        if self.recipe.schedule == "cosine":
            return self.recipe.cosine_lr((self.state.epoch - 1) * self.steps + step, self.steps)
        return self.state.learning_rate

    def mean_loss(self) -> float:
        """Return the mean loss since the last validation."""
        return float(self.state.total[0] / self.state.total[1])

    def local_stop_requested(self) -> bool:
        """Return whether this process has received a signal and is the only one, so that it need not synchronise."""
        return self.team.size == 1 and self.interrupt.received is not None

    def check(self) -> None:
        """Stop if the loss is not finite or a signal was received, and write a checkpoint if it is due.

        Raises:
            BadInput: A loss is not finite.
            TrainingInterrupted: A process has received a signal.
        """
        if self.bad >= 0:
            step = int(self.bad)
            events = next(self.train_batches(step)).event
            rate = self.state.learning_rate
            raise BadInput(non_finite_loss_message(self.state.epoch, step, events, self.bad_events, rate, self.team))
        if self.local_stop_requested() or self.stops > 0:
            self.checkpoint_and_exit()
        if time.monotonic() - self.kept > 60 * self.checkpoint_interval:
            self.save_checkpoint()

    def checkpoint_and_exit(self) -> None:
        """Write a checkpoint and raise `TrainingInterrupted`."""
        self.save_checkpoint()
        if self.team.size > 1:
            # Once the first process exits, the launcher gives the others half a minute.
            torch.distributed.barrier()
        received = self.interrupt.received
        by = f" on {received.name}" if received else ""
        if self.team.rank == 0:
            log_info(
                f"ended{by} in epoch {self.state.epoch} after {self.state.step} steps; run the same again to go on"
            )
        raise TrainingInterrupted

    def save_checkpoint(self) -> None:
        """Write a checkpoint."""
        self.update_timer()
        self.keep()
        self.kept = time.monotonic()

    def update_timer(self) -> None:
        """Add the time since the last call to `state.seconds`."""
        now = time.monotonic()
        self.state.seconds += now - self.clock
        self.clock = now
