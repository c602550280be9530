"""How fast training is, beside the reference's way of it and beside what the device allows.

    python workflow/scripts/benchmark_training.py [--shards results/shards/flat] [--device cuda] [--batch 1024]

On the same jets, with the reference's network, in one run:

(a) the reference's way: dense parquet, a row group a jet, `to_pydict`, DataLoader, float32, NCHW, eager;
(b) this engine's steps, switched on one after another;
(c) the parts of one step of the fastest of these;
(d) the floor: what the activations must move at least over the measured bandwidth of the device, and the operations
    over its measured matrix rate.

With --profile instead: where the time of one epoch goes.

Made-up jets that fill their images as simulated ones do are taken where no shards are given. All ways of training take
turns, in rounds, so that noise of the machine hits all alike; rates and ratios are the medians of the rounds. Before
each turn of (a) some steps are not counted: its workers have read ahead in the turns of the others.
Table and figure: results/benchmark/training/.
"""

import argparse
import os
import platform
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from topmass.console import show
from topmass.drawing.benchmark import rates as draw_rates
from topmass.drawing.style import save, styled
from topmass.files import BadInput, whole
from topmass.learning.benchmark import engine
from topmass.learning.benchmark.engine import PARTS, VARIANTS, Variant, make_trainer, train_steps
from topmass.learning.benchmark.floor import floor_rate, measure_limits, work_of
from topmass.learning.benchmark.made_up import make_up
from topmass.learning.benchmark.reference import train_as_the_reference, write_dense
from topmass.learning.device import find_device, make_repeatable
from topmass.learning.feeding.batches import SparseJets
from topmass.learning.feeding.sources import InMemory
from topmass.learning.networks.resnet15 import Convolutions
from topmass.learning.training.health import explained
from topmass.preprocessing.shards import Shard

LAYERS = ("track_pt", "ecal", "hcal")
"""Of made-up jets: those of the reference, most likely."""
READ_AHEAD = 2
"""Batches that each worker of a DataLoader reads ahead."""
REFERENCE = "(a) the reference's way"
COLOURS = ["#0072B2", "#D55E00", "#009E73"]


class Settings(NamedTuple):
    """Jets in all and in a batch, steps a round, rounds, device, workers of (a), whether torch.compile takes part."""

    jets: int
    batch: int
    steps: int
    rounds: int
    device: str
    workers: int
    compiled: bool


def benchmark_training(shards: Path | None, out: Path, settings: Settings) -> str:
    """Measure; write `training.csv`, `training.md`, and the figure to the folder `out`; return the table."""
    place, batch = find_device(settings.device), settings.batch
    make_repeatable(place)
    source = InMemory(SparseJets.of(load(shards, settings.jets), place))
    if len(source) < batch:
        raise BadInput(f"--batch {batch}: there are only {len(source)} jets")
    variants = [variant for variant in VARIANTS if settings.compiled or not variant.compile]
    table = make_table(measure_rates(source, variants, settings))
    fastest = variants[int(np.argmax(table["jets_per_second"].to_numpy()[1:]))]
    seconds = engine.parts(fastest, source, batch, settings.steps * settings.rounds)
    memory, arithmetic = floor(fastest, source)
    lowest = min(memory, arithmetic)
    table["of_floor"] = table["jets_per_second"] / lowest
    text = describe(table, fastest, seconds, memory, arithmetic, title(place, batch, len(source)))
    write(out, table, text, lowest, f"{place.type}, batch {batch}")
    return text


def measure_rates(source: InMemory, variants: list[Variant], settings: Settings) -> dict[str, np.ndarray]:
    """Jets per second of the reference's way and of each variant, (rounds,)."""
    ways = {f"(b) {each.name}": train_steps(make_trainer(each, source, settings.batch)) for each in variants}
    with TemporaryDirectory() as folder:
        dense = Path(folder) / "dense.parquet"
        write_dense(source, min(len(source), 8 * settings.batch), dense)
        layers = len(source.meta.layers)
        reference = train_as_the_reference(dense, layers, settings.batch, settings.workers, source.device)
        uncounted = {REFERENCE: READ_AHEAD * settings.workers}
        found = engine.rates({REFERENCE: reference} | ways, uncounted, settings.steps, settings.rounds, source.device)
        reference.close()
    return found


def load(shards: Path | None, jets: int) -> Shard:
    """The first shard of a dataset's folder that has so many jets, or made-up ones."""
    if shards is None:
        return make_up(jets, LAYERS)
    for path in chain(sorted(shards.glob("train/*.npz")), sorted(shards.glob("*.npz"))):
        shard = Shard.load(path)
        if len(shard) >= jets:
            return shard
    raise BadInput(f"{shards}: no shard with {jets} jets, neither here nor in train/; give fewer with --jets")


def make_table(rates: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row a way of training: the median rate, half the spread of the rounds, and the ratio to (a)."""
    return pd.DataFrame(
        {
            "way": list(rates),
            "jets_per_second": [np.median(values) for values in rates.values()],
            "spread": [np.ptp(values) / 2 for values in rates.values()],
            "to_reference": [np.median(values / rates[REFERENCE]) for values in rates.values()],
        }
    )


def floor(variant: Variant, jets: InMemory) -> tuple[float, float]:
    """Jets per second that memory and arithmetic allow for a variant."""
    network = Convolutions(len(jets.meta.layers)).to(jets.device)
    work = work_of(network, len(jets.meta.layers), jets.meta.side, jets.device)
    limits = measure_limits(jets.device, variant.precision)
    return floor_rate(work, limits, variant.precision)


def title(device: torch.device, batch: int, jets: int) -> str:
    """What was measured where."""
    name = f"{processor()}, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return f"resnet15, 125 × 125, batch {batch}, {jets:,} jets; {name}; torch {torch.__version__}"


def processor() -> str:
    """The name of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def describe(
    table: pd.DataFrame, fastest: Variant, seconds: np.ndarray, memory: float, arithmetic: float, about: str
) -> str:
    """The table as Markdown, with the parts of a step and the floor."""
    lines = [about, "", "| way | jets/s | ± | ratio to (a) | share of the floor |", "|---|--:|--:|--:|--:|"]
    for row in table.itertuples():
        rate = f"{row.jets_per_second:,.0f} | {row.spread:,.0f}"
        lines.append(f"| {row.way} | {rate} | {row.to_reference:.1f} | {row.of_floor:.0%} |")
    lines.append(f"| (d) floor: memory | {memory:,.0f} | | | |")
    lines.append(f"| (d) floor: arithmetic | {arithmetic:,.0f} | | | |")
    shares = np.median(seconds, axis=0) / np.median(seconds, axis=0).sum()
    parts = ", ".join(f"{name} {share:.1%}" for name, share in zip(PARTS, shares, strict=True))
    return "\n".join([*lines, "", f"(c) parts of a step, “{fastest.name}”: {parts}", ""])


def write(out: Path, table: pd.DataFrame, text: str, lowest: float, about: str) -> None:
    """Table and figure."""
    with whole(out / "training.csv") as part:
        table.to_csv(part, index=False)
    with whole(out / "training.md") as part:
        part.write_text(text, encoding="utf-8")
    names = [*table["way"], "(d) floor"]
    values, spread = (np.append(table[name], last) for name, last in (("jets_per_second", lowest), ("spread", 0)))
    with styled(COLOURS):
        save(draw_rates(names, values, spread, about), out / "chart.png")


def profile(shards: Path | None, jets: int, batch: int, device: str, precision: torch.dtype, out: Path) -> str:
    """Profile an epoch; write and return where its time goes, most first."""
    place = find_device(device)
    make_repeatable(place)
    source = InMemory(SparseJets.of(load(shards, jets), place))
    trainer = make_trainer(Variant("", True, precision, place.type == "cuda"), source, batch)
    with torch.profiler.profile() as measured:
        for part in trainer.cuts(0):
            trainer.one_step(part)
        engine.wait(place)
    order = "self_device_time_total" if place.type == "cuda" else "self_cpu_time_total"
    text = measured.key_averages().table(sort_by=order, row_limit=12, max_name_column_width=40)
    with whole(out / "profile.txt") as file:
        file.write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How fast training is, beside the reference's way of it.")
    parser.add_argument("--shards", type=Path, help="folder of a dataset's shards; without it, made-up jets")
    parser.add_argument("--jets", type=int, default=2048, help="to train on")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4, help="of each way in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="of the reference's loader")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out, which takes a minute")
    parser.add_argument("--profile", action="store_true", help="only show where the time of one epoch goes")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"], help="of the profile")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark/training"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    try:
        with explained(given.batch):
            if given.profile:
                kind = getattr(torch, given.precision)
                show(profile(given.shards, given.jets, given.batch, given.device, kind, given.out))
            else:
                settings = (given.jets, given.batch, given.steps, given.rounds, given.device, given.workers)
                show(benchmark_training(given.shards, given.out, Settings(*settings, not given.no_compile)))
    except BadInput as error:
        parser.exit(1, f"benchmark_training: {error}\n")
