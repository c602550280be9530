"""Training throughput with cumulative optimisations, and timing of the parts of a step."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from topmass.data.batches import to_dense_images
from topmass.data.datasets import InMemoryDataset
from topmass.device import autocast
from topmass.models.resnet15 import ResNet15
from topmass.training.recipe import Recipe
from topmass.training.state import TrainState
from topmass.training.trainer import Trainer

WARM_UP = 4
"""Warm-up steps of each method, which are not timed."""
PARTS = ("gather and scatter", "forward", "backward", "optimizer")


@dataclass(frozen=True)
class Variant:
    """Optimisations of the training that are switched on."""

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


def make_trainer(variant: Variant, jets: InMemoryDataset, batch: int) -> Trainer:
    """Return a trainer for the reference network with batches of `batch` jets, built as in the stage `train`."""
    network = ResNet15(jets.meta, 1).to(jets.device)
    if variant.channels_last:
        network.to(memory_format=torch.channels_last)
    else:
        network.backbone.register_forward_pre_hook(lambda body, given: (given[0].contiguous(), *given[1:]))
    if variant.compile:
        network.backbone.compile(dynamic=False)
    state = TrainState(network, Recipe(1_000_000, batch, 1e-3), variant.fused)
    return Trainer(state, jets, jets, 1, variant.precision, Path("bad_events.txt"))


def train_steps(trainer: Trainer) -> Iterator[int]:
    """Train indefinitely, and yield the number of jets after each step with a full batch."""
    while True:
        for part in trainer.train_batches(0):
            if part.jets < trainer.recipe.batch_size:
                break
            trainer.training_step(part)
            yield part.jets
        trainer.state.epoch += 1


def wait(device: torch.device) -> None:
    """Wait until the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_rates_in_turns(
    ways: dict[str, Iterator[int]], uncounted: dict[str, int], steps: int, rounds: int, device: torch.device
) -> dict[str, np.ndarray]:
    """Measure the rates of several training methods, which take turns.

    Args:
        ways: Training methods by name; each iterator runs a step and yields its number of jets.
        uncounted: Steps per method that are not timed, before each round. The first round has `WARM_UP` more.
        steps: Timed steps per round.
        rounds: Number of rounds.
        device: Device of the training.

    Returns:
        Jets per second of each method, (rounds,).
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


def time_parts(variant: Variant, jets: InMemoryDataset, batch: int, steps: int) -> np.ndarray:
    """Measure the seconds (steps, len(PARTS)) of each of `PARTS`, with synchronisation after each."""
    trainer = make_trainer(variant, jets, batch)
    state, device = trainer.state, jets.device
    seconds = []
    cuts = trainer.train_batches(0)
    for step in range(steps + WARM_UP):
        clock = [time.perf_counter()]

        def tick(clock: list[float] = clock) -> None:
            wait(device)
            clock.append(time.perf_counter())

        part = next(cuts, None)
        if part is None or part.jets < batch:
            cuts = trainer.train_batches(0)
            part = next(cuts)
        sparse = part.on(device, jets.meta)
        image = to_dense_images(sparse, jets.meta)
        tick()
        with autocast(device, variant.precision):
            predicted = state.network.backbone(image, sparse.position)
        loss = (trainer.recipe.loss_per_jet(predicted, sparse.target) * sparse.weight).sum() / part.weight
        tick()
        state.optimizer.zero_grad()
        loss.backward()
        tick()
        state.optimizer.step()
        tick()
        if step >= WARM_UP:
            seconds.append(np.diff(clock))
    return np.array(seconds)
