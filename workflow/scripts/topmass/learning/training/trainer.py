"""The training loop."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from topmass.console import say
from topmass.files import BadInput
from topmass.learning.device import autocast
from topmass.learning.feeding.cutting import Cut, batches
from topmass.learning.feeding.sources import Source
from topmass.learning.resuming.interrupt import Interrupt, Interrupted
from topmass.learning.resuming.state import Epoch, State
from topmass.learning.team import Team
from topmass.learning.training.health import describe_bad
from topmass.learning.training.validation import errors
from topmass.preprocessing.shards import MASS_SCALE

CHECK_EVERY = {"cpu": 1, "cuda": 50}
"""Steps between two looks at what the device knows: each makes a GPU wait for the host, and costs a CPU nothing."""


@dataclass
class Trainer:
    """Trains the network of a state, which it changes in place.

    `keep` is called with no argument when a checkpoint should be written: after each validation, after `keep_minutes`,
    and before the end when `interrupt` has received a signal.
    `progress` is called after each step with the jets of the batch and a function that gives the mean loss so far.
    Events of a batch whose loss is not finite are written to `bad_events`.
    """

    state: State
    jets: Source
    validation: Source
    seed: int
    precision: torch.dtype
    bad_events: Path
    team: Team = field(default_factory=Team)
    interrupt: Interrupt = field(default_factory=Interrupt)
    keep: Callable[[], None] = lambda: None
    keep_minutes: float = math.inf
    progress: Callable[[int, Callable[[], float]], None] = lambda jets, loss: None

    def __post_init__(self) -> None:
        self.recipe, self.device = self.state.recipe, self.state.device
        self.steps = -(-len(self.jets) // self.recipe.batch)
        # Steps of an epoch after which there is a validation.
        number = min(self.steps, self.recipe.validations(len(self.jets)))
        self.stations = [-(-self.steps * i // number) for i in range(1, number + 1)]
        # On the device: the first step of this epoch whose loss was not finite, and signals received by any process.
        self.bad = torch.full((), -1, device=self.device)
        self.stops = torch.zeros((), device=self.device)
        self.kept = self.clock = time.monotonic()

    def epochs(self) -> Iterator[Epoch]:
        """Train to the end from where the state stands; yields rows. BadInput if a loss is not finite."""
        while not self.state.finished():
            yield self.one_row()

    def one_row(self) -> Epoch:
        """Train up to the next validation of this epoch, and validate."""
        state = self.state
        learning_rate = self.rate(state.first)
        station = next(each for each in self.stations if each > state.first)
        state.network.train()
        self.clock = time.monotonic()
        for cut in islice(self.cuts(state.step), station - state.step):
            self.one_step(cut)
            state.step += 1
            if state.step % CHECK_EVERY[self.device.type] == 0 or state.step == station or self.asked_alone():
                self.check()
        loss = float(state.total[0] / state.total[1])
        self.take_time()
        validation_loss, mae, mre = self.validate()
        if not math.isfinite(validation_loss):
            raise BadInput(f"epoch {state.epoch}: the validation loss is not finite; try a lower learning rate")
        whole = station == self.steps
        now = len(self.jets) if whole else station * self.recipe.batch
        jets = now - state.first * self.recipe.batch
        row = Epoch(
            state.epoch if whole else state.epoch - 1 + station / self.steps,
            (state.epoch - 1) * len(self.jets) + now,
            loss, validation_loss, mae * MASS_SCALE, mre, learning_rate, jets / state.seconds, state.seconds,
        )  # fmt: skip
        state.finish(row)
        # The validation is no part of the next row's time.
        self.clock = time.monotonic()
        self.keep_now()
        return row

    def validate(self) -> tuple[float, float, float]:
        """Loss, mean absolute error and mean relative error of the validation jets, as `validation.errors` has them."""
        state, losses = self.state, self.recipe.losses
        with state.averaged():
            found = errors(
                state.network, self.validation, losses, self.device, self.precision, self.team, self.asked_alone
            )
        # Not before the network has its own weights again.
        if self.asked_alone():
            self.end_early()
        return found

    def cuts(self, step: int) -> Iterator[Cut]:
        """The batches of this epoch from a step on."""
        segments = self.jets.shuffled(self.seed, self.state.epoch, step * self.recipe.batch)
        return batches(segments, self.recipe.batch, self.team, self.device, self.jets.device)

    def one_step(self, cut: Cut) -> None:
        """Change the weights by one batch. Nothing here waits for a GPU."""
        state, recipe = self.state, self.recipe
        state.learning_rate = self.rate(state.step)
        batch = cut.on(self.device, self.jets.meta)
        with autocast(self.device, self.precision):
            predicted = state.network(batch)
        # The mean over the whole batch, as far as this process has its jets: the processes' parts add up to it.
        loss = (recipe.losses(predicted, batch.target) * batch.weight).sum() / cut.weight
        state.optimizer.zero_grad()
        loss.backward()
        loss = loss.detach()
        if self.team.size > 1:
            stop = torch.full_like(loss, float(self.interrupt.received is not None))
            self.team.add_up([*(each.grad for each in state.parameters), loss, stop])
            self.stops += stop
        if recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(state.parameters, recipe.gradient_clip)
        state.optimizer.step()
        if state.average:
            torch._foreach_lerp_(state.average, [each.detach() for each in state.parameters], 1 - recipe.average_decay)
        state.total[0] += loss * cut.weight
        state.total[1] += cut.weight
        self.bad = torch.where(torch.isfinite(loss) | (self.bad >= 0), self.bad, state.step)
        self.progress(cut.jets, self.mean_loss)

    def rate(self, step: int) -> float:
        """The learning rate at a step of this epoch."""
        if self.recipe.schedule == "cosine":
            return self.recipe.rate((self.state.epoch - 1) * self.steps + step, self.steps)
        return self.state.learning_rate

    def mean_loss(self) -> float:
        """The mean loss of this epoch so far."""
        return float(self.state.total[0] / self.state.total[1])

    def asked_alone(self) -> bool:
        """Whether this process has received a signal and need not agree with others about it."""
        return self.team.size == 1 and self.interrupt.received is not None

    def check(self) -> None:
        """Stop if the loss is not finite or a signal has come, and write a checkpoint if it is time."""
        if self.bad >= 0:
            step = int(self.bad)
            events = next(self.cuts(step)).event
            rate = self.state.learning_rate
            raise BadInput(describe_bad(self.state.epoch, step, events, self.bad_events, rate, self.team))
        if self.asked_alone() or self.stops > 0:
            self.end_early()
        if time.monotonic() - self.kept > 60 * self.keep_minutes:
            self.keep_now()

    def end_early(self) -> None:
        """Write a checkpoint and end."""
        self.keep_now()
        if self.team.size > 1:
            # The launcher gives the others half a minute from the first that leaves.
            torch.distributed.barrier()
        received = self.interrupt.received
        by = f" on {received.name}" if received else ""
        if self.team.rank == 0:
            say(f"ended{by} in epoch {self.state.epoch} after {self.state.step} steps; run the same again to go on")
        raise Interrupted

    def keep_now(self) -> None:
        """Write a checkpoint."""
        self.take_time()
        self.keep()
        self.kept = time.monotonic()

    def take_time(self) -> None:
        """Add the time since the last call to that of the epoch."""
        now = time.monotonic()
        self.state.seconds += now - self.clock
        self.clock = now
