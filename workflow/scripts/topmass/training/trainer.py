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
from topmass.progress import Progress
from topmass.training.diagnostics import non_finite_loss_message
from topmass.training.inference import median_prediction, predict_batches
from topmass.training.signals import SignalHandler, TrainingInterrupted
from topmass.training.state import TrainState, ValidationRecord

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
        group: Process group.
        interrupt: Record of a received signal.
        write_checkpoint: Called after each validation, after each `checkpoint_interval`, and before an interrupted
            training exits.
        checkpoint_interval: Minutes between checkpoints.
        progress: Called after each step with the jets of the batch and a function that returns the mean loss so far.
    """

    state: TrainState
    jets: Dataset
    validation: Dataset
    seed: int
    precision: torch.dtype
    bad_events: Path
    group: ProcessGroup = field(default_factory=ProcessGroup)
    interrupt: SignalHandler = field(default_factory=SignalHandler)
    write_checkpoint: Callable[[], None] = lambda: None
    checkpoint_interval: float = math.inf
    progress: Callable[[int, Callable[[], float]], None] = lambda jets, loss: None

    def __post_init__(self) -> None:
        self.recipe, self.device = self.state.recipe, self.state.device
        self.steps = -(-len(self.jets) // self.recipe.batch_size)
        # Steps of an epoch after which a validation follows.
        number = min(self.steps, self.recipe.validations(len(self.jets)))
        self.validation_steps = [-(-self.steps * i // number) for i in range(1, number + 1)]
        # On the device: the first step of this epoch with a loss that is not finite, and the signals of all processes.
        self.bad_step = torch.full((), -1, device=self.device)
        self.stops = torch.zeros((), device=self.device)
        self.last_checkpoint = self.clock = time.monotonic()

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
        learning_rate = self.learning_rate(state.first)
        last_step = next(step for step in self.validation_steps if step > state.first)
        state.network.train()
        self.clock = time.monotonic()
        for minibatch in islice(self.train_batches(state.step), last_step - state.step):
            self.training_step(minibatch)
            state.step += 1
            due = state.step % CHECK_EVERY[self.device.type] == 0 or state.step == last_step
            if due or self.local_stop_requested():
                self.check()
        loss = self.mean_loss()
        self.update_timer()
        validation_loss, mae, mre = self.validate()
        if not math.isfinite(validation_loss):
            raise BadInput(f"epoch {state.epoch}: the validation loss is not finite; try a lower learning rate")
        completed = last_step == self.steps
        epoch_jets = len(self.jets) if completed else last_step * self.recipe.batch_size
        jets = epoch_jets - state.first * self.recipe.batch_size
        row = ValidationRecord(
            state.epoch if completed else state.epoch - 1 + last_step / self.steps,
            (state.epoch - 1) * len(self.jets) + epoch_jets,
            loss, validation_loss, mae * MASS_SCALE, mre, learning_rate, jets / state.seconds, state.seconds,
        )  # fmt: skip
        state.record_validation(row)
        # The next row's time excludes the validation.
        self.clock = time.monotonic()
        self.save_checkpoint()
        return row

    @torch.no_grad()
    def validate(self) -> tuple[float, float, float]:
        """Return the weighted means over the validation jets of loss, absolute error (mass scale) and relative error.

        Raises:
            TrainingInterrupted: A signal was received.
        """
        sums = torch.zeros(4, dtype=torch.float64, device=self.device)
        with self.state.use_ema_weights(), Progress("validation", len(self.validation)) as progress:
            for batch, outputs in predict_batches(
                self.state.network, self.validation, self.device, self.precision, self.group, progress.update
            ):
                error = (median_prediction(outputs) - batch.target).abs()
                loss = self.recipe.loss_per_jet(outputs, batch.target)
                terms = torch.stack([loss, error, error / batch.target, torch.ones_like(error)])
                sums += (terms * batch.weight).sum(1)
                if self.local_stop_requested():
                    break
        # Only here, where the averaged weights are no longer in the network.
        if self.local_stop_requested():
            self.checkpoint_and_exit()
        self.group.all_reduce_sum([sums])
        return tuple((sums[:3] / sums[3]).tolist())

    def train_batches(self, step: int) -> Iterator[Minibatch]:
        """Return the batches of this epoch, beginning with a step."""
        views = self.jets.shuffled(self.seed, self.state.epoch, step * self.recipe.batch_size)
        return load_batches(views, self.recipe.batch_size, self.group, self.device, self.jets.device)

    def training_step(self, minibatch: Minibatch) -> None:
        """Update the weights with one batch, without a GPU synchronisation."""
        state, recipe = self.state, self.recipe
        state.learning_rate = self.learning_rate(state.step)
        batch = minibatch.on(self.device, self.jets.meta, state.network.feature_parity)
        with autocast(self.device, self.precision):
            predicted = state.network(batch)
        # This rank's part of the mean over the global batch; the parts of all ranks add up to the mean.
        loss = (recipe.loss_per_jet(predicted, batch.target) * batch.weight).sum() / minibatch.weight
        state.optimizer.zero_grad()
        loss.backward()
        for parameter in state.parameters:
            # A user's network may not use all parameters in a batch; Muon and the sum over ranks need a gradient.
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        loss = loss.detach()
        if self.group.size > 1:
            stop = torch.full_like(loss, float(self.interrupt.received is not None))
            self.group.all_reduce_sum([*(parameter.grad for parameter in state.parameters), loss, stop])
            self.stops += stop
        if recipe.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(state.parameters, recipe.gradient_clip_norm)
        state.optimizer.step()
        if state.ema:
            trained = [parameter.detach() for parameter in state.parameters]
            torch._foreach_lerp_(state.ema, trained, 1 - recipe.ema_decay)
        state.loss_sums[0] += loss * minibatch.weight
        state.loss_sums[1] += minibatch.weight
        self.bad_step = torch.where(torch.isfinite(loss) | (self.bad_step >= 0), self.bad_step, state.step)
        self.progress(minibatch.jets, self.mean_loss)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step of this epoch."""
        if self.recipe.schedule == "cosine":
            return self.recipe.cosine_lr((self.state.epoch - 1) * self.steps + step, self.steps)
        return self.state.learning_rate

    def mean_loss(self) -> float:
        """Return the mean loss since the last validation."""
        return float(self.state.loss_sums[0] / self.state.loss_sums[1])

    def local_stop_requested(self) -> bool:
        """Return whether this process has received a signal and is the only one, so that it need not synchronise."""
        return self.group.size == 1 and self.interrupt.received is not None

    def check(self) -> None:
        """Stop if the loss is not finite or a signal was received, and write a checkpoint if it is due.

        Raises:
            BadInput: A loss is not finite.
            TrainingInterrupted: A process has received a signal.
        """
        if self.bad_step >= 0:
            step = int(self.bad_step)
            events = next(self.train_batches(step)).event
            rate = self.state.learning_rate
            raise BadInput(non_finite_loss_message(self.state.epoch, step, events, self.bad_events, rate, self.group))
        if self.local_stop_requested() or self.stops > 0:
            self.checkpoint_and_exit()
        if time.monotonic() - self.last_checkpoint > 60 * self.checkpoint_interval:
            self.save_checkpoint()

    def checkpoint_and_exit(self) -> None:
        """Write a checkpoint and raise `TrainingInterrupted`."""
        self.save_checkpoint()
        if self.group.size > 1:
            # Once the first process exits, the launcher gives the others half a minute.
            torch.distributed.barrier()
        if self.group.rank == 0:
            received = self.interrupt.received
            reason = f" on {received.name}" if received else ""
            log_info(f"stopped{reason} in epoch {self.state.epoch} after {self.state.step} steps; run again to resume")
        raise TrainingInterrupted

    def save_checkpoint(self) -> None:
        """Write a checkpoint."""
        self.update_timer()
        self.write_checkpoint()
        self.last_checkpoint = time.monotonic()

    def update_timer(self) -> None:
        """Add the time since the last call to `state.seconds`."""
        now = time.monotonic()
        self.state.seconds += now - self.clock
        self.clock = now
