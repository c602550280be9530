"""Training rate relative to the reference code and to the roofline of the device.

    python -m benchmarks.training [--device cuda] [--batch 1024] [--no-compile]

On the same synthetic jets, with the reference's network, in one run:

(a) the reference's pipeline: dense parquet, one row group per jet, `to_pydict`, DataLoader, float32, NCHW, eager;
(b) the optimisations of this project, switched on one after another;
(c) the parts of one step of the fastest variant of (b);
(d) the roofline: minimum bytes of the activations over the measured bandwidth of the device, and operations over its
    measured matrix rate.

Methods take turns; rates and ratios are medians of the rounds. Table: results/benchmark/training/.
"""

import argparse
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from benchmarks.measure import wait, write_table
from benchmarks.reference import train_as_the_reference, write_dense
from benchmarks.roofline import measure_limits, model_cost, roofline_rate
from benchmarks.synthetic import make_synthetic_shard
from topmass.console import print_status
from topmass.data.batches import SparseJets, to_dense_images
from topmass.data.batching import Minibatch
from topmass.data.datasets import InMemoryDataset
from topmass.device import autocast, find_device, set_deterministic
from topmass.limits import available_cores
from topmass.models.network import Network
from topmass.models.resnet15 import ResNet15, ResNetBody
from topmass.training.recipe import Recipe
from topmass.training.state import TrainState
from topmass.training.trainer import Trainer

LAYERS = ("track_pt", "ecal", "hcal")
"""Layers of the jets, most likely those of the reference."""
PREFETCHED = 2
"""Batches that each worker of a DataLoader prefetches while other methods are timed."""
WARM_UP = 4
"""Steps that are not timed, at least."""
REFERENCE = "(a) the reference's method"
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


def benchmark_training(
    jets: int, batch: int, device: torch.device, out: Path, compiled: bool = False, steps: int = 4, rounds: int = 3
) -> str:
    """Measure the training rates; return the table as Markdown.

    Args:
        jets: Number of synthetic jets.
        batch: Jets per batch.
        device: Device of the training.
        out: Folder of the table.
        compiled: Include a row with torch.compile.
        steps: Steps of each method per round.
        rounds: Number of rounds.
    """
    set_deterministic(device)
    shard = make_synthetic_shard(jets, LAYERS)
    source = InMemoryDataset(SparseJets.of(shard, device))
    variants = [variant for variant in VARIANTS if compiled or not variant.compile]
    with TemporaryDirectory() as folder:
        dense = Path(folder) / "dense.parquet"
        write_dense(shard.take(np.arange(min(jets, 8 * batch))), dense)
        methods = {REFERENCE: train_as_the_reference(dense, len(LAYERS), batch, available_cores(), device)}
        methods |= {f"(b) {each.name}": train_steps(make_variant(each, source, batch)) for each in variants}
        rates = measure_rates(methods, batch, device, steps, rounds)
        methods[REFERENCE].close()
    median = np.median(rates, axis=1)
    fastest = variants[np.argmax(median[1:])]
    cost = model_cost(ResNetBody(len(LAYERS)), len(LAYERS), shard.meta.side, torch.device("cpu"))
    roofline = roofline_rate(cost, measure_limits(device, fastest.precision), fastest.precision)
    table = pd.DataFrame(
        {
            "method": [*methods, "(d) roofline: memory", "(d) roofline: arithmetic"],
            "jets/s": [*median, *roofline],
            "spread": [*np.ptp(rates, axis=1) / 2, np.nan, np.nan],
            "ratio to (a)": [*np.median(rates / rates[0], axis=1), np.nan, np.nan],
            "fraction of the roofline": [*median / min(roofline), np.nan, np.nan],
        }
    )
    seconds = np.median(time_parts(make_variant(fastest, source, batch), steps * rounds), axis=0)
    parts = ", ".join(f"{name} {part:.1%}" for name, part in zip(PARTS, seconds / seconds.sum(), strict=True))
    title = f"resnet15, 125 × 125, batch {batch}, {jets:,} jets; {device.type}; torch {torch.__version__}"
    return write_table(out, f"{title}\n\n(c) parts of a step, “{fastest.name}”: {parts}", table)


def make_variant(variant: Variant, jets: InMemoryDataset, batch: int) -> Trainer:
    """Return a trainer for the reference network with the optimisations of a variant."""
    network = ResNet15(jets.meta, 1).to(jets.device)
    if variant.channels_last:
        network.to(memory_format=torch.channels_last)
    else:
        network.backbone.register_forward_pre_hook(lambda body, inputs: (inputs[0].contiguous(), *inputs[1:]))
    if variant.compile:
        network.backbone.compile(dynamic=False)
    return make_trainer(network, Recipe(1_000_000, batch, 1e-3), jets, variant.precision, variant.fused)


def make_trainer(
    network: Network,
    recipe: Recipe,
    jets: InMemoryDataset,
    precision: torch.dtype = torch.float32,
    fused: bool = False,
) -> Trainer:
    """Return a trainer, built as in the stage `train`."""
    return Trainer(TrainState(network, recipe, fused), jets, jets, 1, precision, Path("bad_events.txt"))


def full_batches(trainer: Trainer) -> Iterator[Minibatch]:
    """Yield full batches of epoch after epoch."""
    while True:
        yield from (batch for batch in trainer.train_batches(0) if batch.jets == trainer.recipe.batch_size)
        trainer.state.epoch += 1


def train_steps(trainer: Trainer) -> Iterator[None]:
    """Train indefinitely; yield after each step."""
    for batch in full_batches(trainer):
        trainer.training_step(batch)
        yield


def measure_rates(
    methods: Mapping[str, Iterator[None]], batch: int, device: torch.device, steps: int, rounds: int
) -> np.ndarray:
    """Measure the jets per second (M, rounds) of M training methods that take turns."""
    # The workers of (a) have prefetched batches during the turns of the other methods.
    untimed = max(WARM_UP, PREFETCHED * available_cores())
    rates = np.empty((len(methods), rounds))
    for turn in range(rounds):
        for number, training in enumerate(methods.values()):
            deque(islice(training, untimed), maxlen=0)
            wait(device)
            start = time.perf_counter()
            deque(islice(training, steps), maxlen=0)
            wait(device)
            rates[number, turn] = steps * batch / (time.perf_counter() - start)
    return rates


def time_parts(trainer: Trainer, steps: int) -> np.ndarray:
    """Measure the seconds (steps, len(PARTS)) of each of `PARTS`, with synchronisation after each."""
    state, device = trainer.state, trainer.device
    seconds = []
    for batch in islice(full_batches(trainer), WARM_UP + steps):
        clock = [time.perf_counter()]

        def tick(clock: list[float] = clock) -> None:
            wait(device)
            clock.append(time.perf_counter())

        sparse = batch.on(device, trainer.jets.meta)
        image = to_dense_images(sparse, trainer.jets.meta)
        tick()
        with autocast(device, trainer.precision):
            predicted = state.network.backbone(image, sparse.position)
        loss = (trainer.recipe.loss_per_jet(predicted, sparse.target) * sparse.weight).sum() / batch.weight
        tick()
        state.optimizer.zero_grad()
        loss.backward()
        tick()
        state.optimizer.step()
        tick()
        seconds.append(np.diff(clock))
    return np.array(seconds[WARM_UP:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Training rate relative to the reference code and to the roofline.")
    parser.add_argument("--jets", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-compile", action="store_true", help="omit torch.compile, which takes a minute")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark/training"))
    arguments = parser.parse_args()
    if arguments.jets < arguments.batch:
        parser.error(f"--jets {arguments.jets}: expected {arguments.batch} or more, the jets of a batch")
    torch.set_num_threads(available_cores())
    device = find_device(arguments.device, "--device")
    print_status(benchmark_training(arguments.jets, arguments.batch, device, arguments.out, not arguments.no_compile))
