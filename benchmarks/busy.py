"""Training rate on a machine that other programs use as well, relative to the idle rate.

    python -m benchmarks.busy [--network prongs] [--busy 0 2] [--set GOMP_SPINCOUNT=1000 ...]

Each measurement runs in a new process, since OpenMP reads its environment variables when torch is imported. A busy
process is an endless loop of Python. Rates are medians of rounds in which all measurements take turns.
Table: results/benchmark/busy/.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pandas as pd
import torch

from benchmarks.measure import write_table
from benchmarks.synthetic import make_synthetic_shard
from benchmarks.training import WARM_UP, make_trainer, train_steps
from topmass.console import print_status
from topmass.data.batches import SparseJets
from topmass.data.batching import iter_batches
from topmass.data.datasets import InMemoryDataset
from topmass.layers import LAYERS
from topmass.limits import available_cores
from topmass.models.trained_model import TrainedModel
from topmass.openmp import SETTINGS, USER_VARIABLES
from topmass.process_group import ProcessGroup
from topmass.training.recipe import Recipe

CORES = available_cores()


def benchmark_busy(
    network: str, batch: int, busy: Sequence[int], settings: Sequence[str], out: Path, rounds: int = 3
) -> str:
    """Measure jets/s with each number of busy processes and each environment; return the table as Markdown.

    Args:
        network: Name of the network, which has its default settings.
        batch: Jets per batch.
        busy: Numbers of busy processes; the first is the idle rate.
        settings: Environments, each as `NAME=value,NAME=value`; an empty string is that of the workflow.
        out: Folder of the table.
        rounds: Number of measurements of each combination.
    """
    rows = []
    for _, text, number in product(range(rounds), settings, busy):
        environment = dict(pair.split("=", 1) for pair in text.split(",")) if text else SETTINGS
        with busy_processes(number):
            rows.append((text or "workflow", number, measure_in_process(network, batch, environment)))
    table = pd.DataFrame(rows, columns=["environment", "busy processes", "jets/s"])
    table = table.groupby(["environment", "busy processes"], sort=False, as_index=False).median()
    table["fraction of idle"] = table["jets/s"] / table.groupby("environment")["jets/s"].transform("first")
    return write_table(out, f"{network}, batch {batch}, {CORES} threads", table)


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Run `number` endless loops during the block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure_in_process(network: str, batch: int, environment: Mapping[str, str]) -> float:
    """Measure the training rate (jets/s) in a process with these OpenMP environment variables."""
    others = {name: value for name, value in os.environ.items() if name not in USER_VARIABLES}
    command = [sys.executable, "-m", "benchmarks.busy", "--measure", network, str(batch)]
    completed = subprocess.run(
        command, env=others | dict(environment), stdout=subprocess.PIPE, check=True, encoding="utf-8"
    )
    return float(completed.stdout)


def measure(network: str, batch: int, seconds: float = 10) -> float:
    """Train on synthetic jets in this process for `seconds` after a warm-up; return the rate in jets/s."""
    torch.set_num_threads(CORES)
    shard = make_synthetic_shard(4 * batch, tuple(layer.name for layer in LAYERS))
    model = TrainedModel.new({"name": network}, shard.meta).network
    hits = int(shard.offset[-1]) if model.needs_hits else 0
    cpu = torch.device("cpu")
    jets = InMemoryDataset(SparseJets.build([shard], shard.meta, len(shard), hits, cpu, model))
    model.fit_input_norm(next(iter_batches(jets.in_order(), len(jets), ProcessGroup())).on(cpu, shard.meta))
    training = train_steps(make_trainer(model, Recipe(1_000_000, batch, 1e-3, optimizer="muon"), jets))
    for _ in range(WARM_UP):
        next(training)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(training)
        steps += 1
    return steps * batch / (time.perf_counter() - start)


if __name__ == "__main__":
    if "--measure" in sys.argv:
        print(measure(sys.argv[2], int(sys.argv[3])))
        sys.exit()
    parser = argparse.ArgumentParser(description="Training rate next to busy processes, relative to the idle rate.")
    parser.add_argument("--network", default="prongs")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, CORES], help="numbers of busy processes")
    parser.add_argument("--set", nargs="+", default=[""], help="environments to compare, NAME=value,NAME=value")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark/busy"))
    arguments = parser.parse_args()
    print_status(benchmark_busy(arguments.network, arguments.batch, arguments.busy, arguments.set, arguments.out))
