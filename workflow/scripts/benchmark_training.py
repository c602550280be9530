"""Training rate relative to the reference code and to the roofline of the device.

    python workflow/scripts/benchmark_training.py [--shards results/shards/flat] [--device cuda] [--batch 1024]

On the same jets, with the reference's network, in one run:

(a) the reference's pipeline: dense parquet, one row group per jet, `to_pydict`, DataLoader, float32, NCHW, eager;
(b) the optimisations of this engine, switched on one after another;
(c) the parts of one step of the fastest variant of (b);
(d) the roofline: minimum bytes of the activations over the measured bandwidth of the device, and operations over its
    measured matrix rate.

With --profile, only the profile of one epoch is written.

Without shards, synthetic jets fill their images like simulated jets. All variants take turns, in rounds, so that
machine noise affects all alike; rates and ratios are medians of the rounds. Some steps before each turn of (a) are not
counted, since its workers have prefetched batches during the turns of the others.
Table and figure: results/benchmark/training/.
"""

import argparse
import platform
import sys
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

# Python does not search this folder by itself with -I, -P or PYTHONSAFEPATH.
sys.path.append(str(Path(__file__).resolve().parent))
from topmass.benchmark import engine
from topmass.benchmark.engine import PARTS, VARIANTS, Variant, make_trainer, train_steps
from topmass.benchmark.reference import train_as_the_reference, write_dense
from topmass.benchmark.roofline import measure_limits, model_cost, roofline_rate
from topmass.benchmark.synthetic import make_synthetic_shard
from topmass.console import print_status
from topmass.data.batches import SparseJets
from topmass.data.datasets import InMemoryDataset
from topmass.device import find_device, set_deterministic
from topmass.files import BadInput, atomic_write
from topmass.limits import available_cores
from topmass.models.resnet15 import ResNetBody
from topmass.plotting.benchmark_figures import rates as draw_rates
from topmass.plotting.style import save, style_context
from topmass.preprocessing.shards import Shard
from topmass.training.diagnostics import translate_torch_errors

LAYERS = ("track_pt", "ecal", "hcal")
"""Layers of synthetic jets, most likely those of the reference."""
READ_AHEAD = 2
"""Batches that each worker of a DataLoader prefetches."""
REFERENCE = "(a) the reference's way"
COLOURS = ["#0072B2", "#D55E00", "#009E73"]


class Settings(NamedTuple):
    """Settings of the benchmark.

    Attributes:
        jets: Number of synthetic jets, or minimum number of jets of the shard.
        batch: Jets per batch.
        steps: Steps of each variant per round.
        rounds: Number of rounds.
        device: Device, as for `find_device`.
        workers: DataLoader workers of (a).
        compiled: Whether to include torch.compile.
    """

    jets: int
    batch: int
    steps: int
    rounds: int
    device: str
    workers: int
    compiled: bool


def benchmark_training(shards: Path | None, out: Path, settings: Settings) -> str:
    """Measure the training rates; return the table as Markdown.

    Args:
        shards: Folder of a dataset's shards; None for synthetic jets.
        out: Folder of `training.csv`, `training.md` and the figure.
        settings: Settings of the benchmark.

    Raises:
        BadInput: There are fewer jets than one batch needs.
    """
    place, batch = find_device(settings.device, "--device"), settings.batch
    set_deterministic(place)
    source = InMemoryDataset(SparseJets.of(load(shards, settings.jets), place))
    if len(source) < batch:
        raise BadInput(f"--batch {batch}: there are only {len(source)} jets")
    variants = [variant for variant in VARIANTS if settings.compiled or not variant.compile]
    table = make_table(measure_rates(source, variants, settings))
    fastest = variants[int(np.argmax(table["jets_per_second"].to_numpy()[1:]))]
    seconds = engine.time_parts(fastest, source, batch, settings.steps * settings.rounds)
    memory, arithmetic = floor(fastest, source)
    lowest = min(memory, arithmetic)
    table["of_floor"] = table["jets_per_second"] / lowest
    text = describe(table, fastest, seconds, memory, arithmetic, title(place, batch, len(source)))
    write(out, table, text, lowest, f"{place.type}, batch {batch}")
    return text


def measure_rates(source: InMemoryDataset, variants: list[Variant], settings: Settings) -> dict[str, np.ndarray]:
    """Measure the jets per second `(rounds,)` of the reference's pipeline and of each variant."""
    ways = {f"(b) {each.name}": train_steps(make_trainer(each, source, settings.batch)) for each in variants}
    with TemporaryDirectory() as folder:
        dense = Path(folder) / "dense.parquet"
        write_dense(source, min(len(source), 8 * settings.batch), dense)
        layers = len(source.meta.layers)
        reference = train_as_the_reference(dense, layers, settings.batch, settings.workers, source.device)
        uncounted = {REFERENCE: READ_AHEAD * settings.workers}
        found = engine.measure_rates_in_turns(
            {REFERENCE: reference} | ways, uncounted, settings.steps, settings.rounds, source.device
        )
        reference.close()
    return found


def load(shards: Path | None, jets: int) -> Shard:
    """Load the first shard of a dataset's folder with at least `jets` jets, or make synthetic jets.

    Args:
        shards: Folder of the shards; None for synthetic jets.
        jets: Minimum number of jets.

    Raises:
        BadInput: No shard has enough jets.
    """
    if shards is None:
        return make_synthetic_shard(jets, LAYERS)
    for path in chain(sorted(shards.glob("train/*.npz")), sorted(shards.glob("*.npz"))):
        shard = Shard.load(path)
        if len(shard) >= jets:
            return shard
    raise BadInput(f"{shards}: no shard with {jets} jets, neither here nor in train/; give fewer with --jets")


def make_table(rates: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return one row per variant: median rate, half the spread of the rounds, and ratio to (a)."""
    return pd.DataFrame(
        {
            "way": list(rates),
            "jets_per_second": [np.median(values) for values in rates.values()],
            "spread": [np.ptp(values) / 2 for values in rates.values()],
            "to_reference": [np.median(values / rates[REFERENCE]) for values in rates.values()],
        }
    )


def floor(variant: Variant, jets: InMemoryDataset) -> tuple[float, float]:
    """Return the roofline rates (jets/s) of memory and arithmetic for a variant."""
    network = ResNetBody(len(jets.meta.layers)).to(jets.device)
    work = model_cost(network, len(jets.meta.layers), jets.meta.side, jets.device)
    limits = measure_limits(jets.device, variant.precision)
    return roofline_rate(work, limits, variant.precision)


def title(device: torch.device, batch: int, jets: int) -> str:
    """Return a line with network, batch size, jets, device and torch version."""
    name = f"{processor()}, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return f"resnet15, 125 × 125, batch {batch}, {jets:,} jets; {name}; torch {torch.__version__}"


def processor() -> str:
    """Return the name of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def describe(
    table: pd.DataFrame, fastest: Variant, seconds: np.ndarray, memory: float, arithmetic: float, about: str
) -> str:
    """Return the table as Markdown, with the parts of a step and the roofline."""
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
    """Write table and figure."""
    with atomic_write(out / "training.csv") as part:
        table.to_csv(part, index=False)
    with atomic_write(out / "training.md") as part:
        part.write_text(text, encoding="utf-8")
    names = [*table["way"], "(d) floor"]
    values, spread = (np.append(table[name], last) for name, last in (("jets_per_second", lowest), ("spread", 0)))
    with style_context(COLOURS):
        save(draw_rates(names, values, spread, about), out / "chart.png")


def profile(shards: Path | None, jets: int, batch: int, device: str, precision: torch.dtype, out: Path) -> str:
    """Profile one epoch; return the most expensive operations in descending order.

    Args:
        shards: Folder of a dataset's shards; None for synthetic jets.
        jets: Number of synthetic jets, or minimum number of jets of the shard.
        batch: Jets per batch.
        device: Device, as for `find_device`.
        precision: Precision of the forward pass.
        out: Folder of `profile.txt`.
    """
    place = find_device(device, "--device")
    set_deterministic(place)
    source = InMemoryDataset(SparseJets.of(load(shards, jets), place))
    trainer = make_trainer(Variant("", True, precision, place.type == "cuda"), source, batch)
    with torch.profiler.profile() as measured:
        for part in trainer.train_batches(0):
            trainer.training_step(part)
        engine.wait(place)
    order = "self_device_time_total" if place.type == "cuda" else "self_cpu_time_total"
    text = measured.key_averages().table(sort_by=order, row_limit=12, max_name_column_width=40)
    with atomic_write(out / "profile.txt") as file:
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
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--workers", type=int, default=available_cores(), help="of the reference's loader")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out, which takes a minute")
    parser.add_argument("--profile", action="store_true", help="only show where the time of one epoch goes")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"], help="of the profile")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark/training"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    try:
        with translate_torch_errors(given.batch):
            if given.profile:
                kind = getattr(torch, given.precision)
                print_status(profile(given.shards, given.jets, given.batch, given.device, kind, given.out))
            else:
                settings = (given.jets, given.batch, given.steps, given.rounds, given.device, given.workers)
                print_status(benchmark_training(given.shards, given.out, Settings(*settings, not given.no_compile)))
    except BadInput as error:
        parser.exit(1, f"benchmark_training: {error}\n")
