"""Training rate on a machine that other programs use as well, relative to the idle rate.

    python workflow/scripts/benchmark_busy.py [--network prongs] [--busy 0 1 2] [--set GOMP_SPINCOUNT=1000 ...]

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
from pathlib import Path

import pandas as pd

# Python does not search this folder by itself with -I, -P or PYTHONSAFEPATH.
sys.path.append(str(Path(__file__).resolve().parent))
from topmass.console import print_status
from topmass.files import atomic_write
from topmass.limits import available_cores
from topmass.openmp import SETTINGS, USER_VARIABLES

CORES = available_cores()


def benchmark_busy(
    network: str, batch: int, busy: Sequence[int], settings: Sequence[str], rounds: int, out: Path
) -> str:
    """Measure jets/s with each number of busy processes and each environment; return the table as Markdown.

    Args:
        network: Name of the network, which has its default settings.
        batch: Jets per batch.
        busy: Numbers of busy processes.
        settings: Environments, each as `NAME=value,NAME=value`; an empty string is that of the workflow.
        rounds: Number of measurements of each combination.
        out: Folder of `busy.csv` and `busy.md`.
    """
    rows = []
    for _ in range(rounds):
        for number in busy:
            for text in settings:
                environment = dict(pair.split("=", 1) for pair in text.split(",")) if text else SETTINGS
                with busy_processes(number):
                    rows.append((text or "workflow", number, rate_of(network, batch, environment)))
    rates = pd.DataFrame(rows, columns=["environment", "busy_processes", "jets_per_second"])
    table = rates.groupby(["environment", "busy_processes"], sort=False)["jets_per_second"].median().reset_index()
    idle = table[table["busy_processes"] == 0].set_index("environment")["jets_per_second"]
    table["to_idle"] = table["jets_per_second"] / table["environment"].map(idle)
    lines = [f"{network}, batch {batch}, {CORES} threads", "", "| environment | busy processes | jets/s | of idle |"]
    lines += ["|---|--:|--:|--:|"]
    lines += [f"| {row.environment} | {row.busy_processes} | {row.jets_per_second:,.0f} | {row.to_idle:.2f} |"
              for row in table.itertuples()]  # fmt: skip
    text = "\n".join([*lines, ""])
    with atomic_write(out / "busy.csv") as part:
        table.to_csv(part, index=False)
    with atomic_write(out / "busy.md") as part:
        part.write_text(text, encoding="utf-8")
    return text


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


def rate_of(network: str, batch: int, environment: Mapping[str, str]) -> float:
    """Measure the training rate (jets/s) in a process with these OpenMP environment variables."""
    clean = {name: value for name, value in os.environ.items() if name not in USER_VARIABLES}
    command = [sys.executable, __file__, "--measure", network, str(batch)]
    ended = subprocess.run(command, env=clean | dict(environment), stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return float(ended.stdout)


def measure(network: str, batch: int, seconds: float = 10) -> float:
    """Train on synthetic jets in this process for `seconds` after a warm-up; return the rate in jets/s."""
    import torch

    from topmass.benchmark.engine import WARM_UP, train_steps
    from topmass.benchmark.synthetic import make_synthetic_shard
    from topmass.data.batches import SparseJets
    from topmass.data.batching import iter_batches
    from topmass.data.datasets import InMemoryDataset
    from topmass.layers import LAYERS
    from topmass.models.trained_model import TrainedModel
    from topmass.process_group import ProcessGroup
    from topmass.training.recipe import Recipe
    from topmass.training.state import TrainState
    from topmass.training.trainer import Trainer

    torch.set_num_threads(CORES)
    shard = make_synthetic_shard(4 * batch, tuple(layer.name for layer in LAYERS))
    model = TrainedModel.new({"name": network}, shard.meta)
    kept = (len(shard), int(shard.offset[-1]) if model.network.needs_hits else 0)
    source = InMemoryDataset(SparseJets.build([shard], shard.meta, *kept, torch.device("cpu"), model.network))
    model.network.fit_input_norm(
        next(iter_batches(source.in_order(), len(source), ProcessGroup())).on(source.device, shard.meta)
    )
    recipe = Recipe(1_000_000, batch, 1e-3, optimizer="muon")
    steps = train_steps(
        Trainer(TrainState(model.network, recipe, False), source, source, 1, torch.float32, Path("bad.txt"))
    )
    for _ in range(WARM_UP):
        next(steps)
    start, jets = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        jets += next(steps)
    return jets / (time.perf_counter() - start)


if __name__ == "__main__":
    if "--measure" in sys.argv:
        print(measure(sys.argv[2], int(sys.argv[3])))
        sys.exit()
    parser = argparse.ArgumentParser(description="Training rate beside busy processes, relative to the idle rate.")
    parser.add_argument("--network", default="prongs")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, CORES], help="numbers of busy processes")
    parser.add_argument("--set", nargs="+", default=[""], help="environments to compare, NAME=value,NAME=value")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/benchmark/busy"))
    given = parser.parse_args()
    print_status(benchmark_busy(given.network, given.batch, given.busy, given.set, given.rounds, given.out))
