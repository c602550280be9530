"""The steps of the engine, switched on one after another, and the parts of one step."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from topmass.learning.device import autocast
from topmass.learning.feeding.batches import scatter
from topmass.learning.feeding.sources import InMemory
from topmass.learning.networks.resnet15 import ResNet15
from topmass.learning.recipe import Recipe
from topmass.learning.resuming.state import State
from topmass.learning.training.trainer import Trainer

WARM_UP = 4
"""Steps of each way that are not counted."""
PARTS = ("gather and scatter", "forward", "backward", "optimizer")


@dataclass(frozen=True)
class Variant:
    """What is switched on."""

    name: str
    channels_last: bool = False
    precision: torch.dtype = torch.float32
    fused: bool = False
    compile: bool = False


VARIANTS = (
    Variant("sparse jets, dense on the device"),
    Variant("+ channels last", True),
    Variant("+ bfloat16", True, torch.bfloat16),
    Variant("+ fused Adam", True, torch.bfloat16, True),
    Variant("+ torch.compile", True, torch.bfloat16, True, True),
)


def make_trainer(variant: Variant, jets: InMemory, batch: int) -> Trainer:
    """A trainer of the reference's network on these jets, as the stage `train` makes it."""
    network = ResNet15(jets.meta, 1).to(jets.device)
    if variant.channels_last:
        network.to(memory_format=torch.channels_last)
    else:
        network.body.register_forward_pre_hook(lambda body, given: (given[0].contiguous(), *given[1:]))
    if variant.compile:
        network.body.compile(dynamic=False)
    state = State(network, Recipe(1_000_000, batch, 1e-3), variant.fused)
    return Trainer(state, jets, jets, 1, variant.precision, Path("bad_events.txt"))


def train_steps(trainer: Trainer) -> Iterator[int]:
    """Train over and over; yields the number of jets after each full step."""
    while True:
        for part in trainer.cuts(0):
            if part.jets < trainer.recipe.batch:
                break
            trainer.one_step(part)
            yield part.jets
        trainer.state.epoch += 1


def wait(device: torch.device) -> None:
    """Until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rates(
    ways: dict[str, Iterator[int]], uncounted: dict[str, int], steps: int, rounds: int, device: torch.device
) -> dict[str, np.ndarray]:
    """Jets per second of each way of training, (rounds,), so many steps a round.

    The ways take turns; before each turn of a way `uncounted` steps are not counted, and before the first some more.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, way in ways.items():
            for _ in range(uncounted.get(name, 0) + (0 if turn else WARM_UP)):
                next(way)
            wait(device)
            start = time.perf_counter()
            jets = sum(next(way) for _ in range(steps))
            wait(device)
            found[name].append(jets / (time.perf_counter() - start))
    return {name: np.array(values) for name, values in found.items()}


def parts(variant: Variant, jets: InMemory, batch: int, steps: int) -> np.ndarray:
    """Seconds of each of the PARTS, (steps, len(PARTS)), waiting for the device after each."""
    trainer = make_trainer(variant, jets, batch)
    state, device = trainer.state, jets.device
    seconds = []
    cuts = trainer.cuts(0)
    for step in range(steps + WARM_UP):
        clock = [time.perf_counter()]

        def tick(clock: list[float] = clock) -> None:
            wait(device)
            clock.append(time.perf_counter())

        part = next(cuts, None)
        if part is None or part.jets < batch:
            cuts = trainer.cuts(0)
            part = next(cuts)
        sparse = part.on(device, jets.meta)
        image = scatter(sparse, jets.meta)
        tick()
        with autocast(device, variant.precision):
            predicted = state.network.body(image, sparse.position)
        loss = (trainer.recipe.losses(predicted, sparse.target) * sparse.weight).sum() / part.weight
        tick()
        state.optimizer.zero_grad()
        loss.backward()
        tick()
        state.optimizer.step()
        tick()
        if step >= WARM_UP:
            seconds.append(np.diff(clock))
    return np.array(seconds)
