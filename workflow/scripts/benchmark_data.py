"""Throughput of the data pipeline, from Pythia to reading shards, each stage against a reference.

    python workflow/scripts/benchmark_data.py [--jets 4000] [--output results/benchmark/data]

Rates are per CPU second of one process. Stage and reference take turns in one run, so that machine noise affects both.
Ratios are computed per turn; the table has their mean and standard deviation. The jets are simulated with the settings
of the first simulated sample of the configuration. The dense file has doubles and one row group per jet, like the
public CMS files. Targets are those of this project.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq

# Python does not search this folder by itself with -I, -P or PYTHONSAFEPATH.
sys.path.append(str(Path(__file__).resolve().parent))
from benchmark_simulation import ROUND, cpu_seconds, read_settings, time_rounds
from compute_statistics import compute_statistics
from convert import convert
from make_shards import make_shards
from simulate import simulate
from topmass.config.configuration import configure
from topmass.console import print_status
from topmass.files import atomic_write
from topmass.io.dense_file import CMS_COLUMNS, write_dense
from topmass.jets import JetTable, concat_jets
from topmass.layers import LAYERS, SIDE
from topmass.plotting.benchmark_figures import reached_of_aimed
from topmass.plotting.style import save, style_context
from topmass.preprocessing.shards import Shard
from topmass.preprocessing.split import SPLITS

NAMES = [layer.name for layer in LAYERS]
DENSE_BYTES = 4 * len(LAYERS) * SIDE**2
PARTS = 10
"""Number of turns of reading the dense file."""
ROW_BY_ROW = 20
"""Jets per turn for the slowest reader."""
TURNS = 5
"""Number of turns of preprocessing and of reading shards."""


@dataclass(frozen=True)
class Measured:
    """One line of the table.

    Attributes:
        part: Stage that was measured.
        against: Reference.
        rate: Jets or events per CPU second, or bytes per jet.
        value: Ratio to the reference, or a rate where there is no reference.
        spread: Standard deviation of `value` over the turns.
        aim: Target for `value`.
        at_most: Whether the target is an upper limit.
    """

    part: str
    against: str
    rate: float
    value: float
    spread: float
    aim: float
    at_most: bool = False

    @property
    def reached(self) -> tuple[float, float]:
        """Result relative to its target, inverted for an upper limit so that more is better, and its spread."""
        ratio = self.aim / self.value if self.at_most else self.value / self.aim
        return ratio, ratio * self.spread / self.value


def benchmark_data(jets: int, output: Path) -> str:
    """Measure all parts, write table and chart to the folder `output`, and return the table."""
    settings = configure([])
    lines = simulation()
    with TemporaryDirectory() as name:
        folder = Path(name)
        sample = next(each for each in settings["samples"].values() if "simulate" in each)
        simulate(folder / "jets.parquet", 0, jets, sample["seed"], **sample["simulate"])
        lines += converting(folder / "jets.parquet", folder / "dense.parquet")
        lines += preprocessing(folder, next(iter(settings["datasets"].values())))
        lines += storage(folder, jets)
        lines += reading(folder)
    title = f"{jets:,} jets, {PARTS} turns of the dense file, {TURNS} of preprocessing"
    with atomic_write(output / "table.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(field.name for field in fields(Measured))
        rows.writerows([getattr(line, field.name) for field in fields(Measured)] for line in lines)
    with style_context(settings["figures"]["colours"]):
        reached = {f"{line.part} / {line.against}": line.reached for line in lines}
        save(reached_of_aimed(reached, title), output / "chart.png")
    text = describe(title, lines)
    with atomic_write(output / "table.txt") as part:
        part.write_text(text, encoding="utf-8")
    return text


def simulation() -> list[Measured]:
    """Compare event rates of generation and of the complete simulation with Pythia's bare `next()`."""
    seconds, _, _ = time_rounds(read_settings(), 4 * ROUND)
    rates, ratios = ROUND / seconds.mean(axis=0), seconds[:, :1] / seconds
    against = "Pythia's next(), events"
    return [
        Measured("generation and read-out", against, rates[1], ratios[:, 1].mean(), ratios[:, 1].std(), 0.8),
        Measured("whole simulation", against, rates[2], ratios[:, 2].mean(), ratios[:, 2].std(), 0.5),
    ]


def converting(table: Path, dense: Path) -> list[Measured]:
    """Compare the stage `convert` with pyarrow's decoding of the images and with a row-by-row reader."""
    jets = concat_jets(list(JetTable(table).batches()))
    write_dense(dense, jets)
    size = len(jets) // PARTS
    seconds = []
    for turn in range(PARTS):
        rows = range(turn * size, (turn + 1) * size)
        ours = cpu_seconds(lambda turn=turn: convert(dense, dense.with_suffix(".out"), 0, turn, PARTS, NAMES))
        bare = cpu_seconds(lambda rows=rows: decode(dense, rows))
        slow = cpu_seconds(lambda rows=rows: to_lists(dense, rows[:ROW_BY_ROW])) * size / ROW_BY_ROW
        seconds.append((ours, bare, slow))
    ours, bare, slow = np.array(seconds).T
    return [
        Measured("convert", "pyarrow decoding", size / ours.mean(), (bare / ours).mean(), (bare / ours).std(), 0.75),
        Measured("convert", "row by row", size / ours.mean(), (slow / ours).mean(), (slow / ours).std(), 5),
    ]


def decode(dense: Path, rows: range) -> None:
    """Decode and discard the images of these row groups in pyarrow's fastest known way."""
    for _ in pq.ParquetFile(dense).iter_batches(8, row_groups=rows, columns=[CMS_COLUMNS["image"]], use_threads=False):
        pass


def to_lists(dense: Path, rows: range) -> None:
    """Read the images one row at a time via Python lists, as the reference code does."""
    file, column = pq.ParquetFile(dense), CMS_COLUMNS["image"]
    for row in rows:
        np.float32(file.read_row_group(row, columns=[column], use_threads=False).to_pydict()[column][0])


def preprocessing(folder: Path, dataset: Mapping) -> list[Measured]:
    """Measure statistics and shards of all layers, in jets per second and core."""
    table, statistics = folder / "jets.parquet", folder / "statistics.json"
    shards = {split: folder / f"{split}.npz" for split in SPLITS}

    def both() -> None:
        compute_statistics(
            [table], statistics, "gun", dataset["split"], NAMES, {}, dataset["scale_quantile"], dataset["flatten"]
        )
        make_shards(table, statistics, shards, dataset["zero_suppression"], dataset["compression"])

    rate = len(JetTable(table)) / np.array(turns(both))
    return [Measured("statistics and shards", "jets/s/core", rate.mean(), rate.mean(), rate.std(), 20_000)]


def storage(folder: Path, jets: int) -> list[Measured]:
    """Compare the bytes per jet with all layers with those of dense float32."""
    kept = sum(len(Shard.load(folder / f"{split}.npz")) for split in SPLITS)
    size = sum((folder / f"{split}.npz").stat().st_size for split in SPLITS)
    table = (folder / "jets.parquet").stat().st_size
    return [
        Measured("jet table, bytes", "dense float32", table / jets, table / jets / DENSE_BYTES, 0, 1 / 200, True),
        Measured("shard, bytes", "dense float32", size / kept, size / kept / DENSE_BYTES, 0, 1 / 200, True),
    ]


def reading(folder: Path) -> list[Measured]:
    """Compare reading and checking a shard with only reading its arrays."""
    path = folder / "train.npz"
    ours, bare = (np.array(turns(work)) for work in (lambda: Shard.load(path), lambda: dict(np.load(path))))
    rate, ratio = len(Shard.load(path)) / ours.mean(), bare / ours
    return [Measured("shard reading, checked", "numpy.load", rate, ratio.mean(), ratio.std(), 0.5)]


def turns(work: Callable[[], object]) -> list[float]:
    """Measure the CPU seconds of each of `TURNS` calls, after one warm-up call."""
    return [cpu_seconds(work) for _ in range(TURNS + 1)][1:]


def describe(title: str, lines: list[Measured]) -> str:
    """Return the table as text."""
    text = [title, "", f"{'':26}{'against':25}{'rate, size':>12}{'ratio':>12}{'spread':>10}{'aim':>12}"]
    for line in lines:
        aim = f"{'≤' if line.at_most else '≥'} {line.aim:,.3g}" if line.aim < 1000 else f"≥ {line.aim:,.0f}"
        digits = 4 if line.value < 0.1 else 2 if line.value < 1000 else 0
        value, spread = f"{line.value:,.{digits}f}", f"{line.spread:,.{digits}f}" if line.spread else "–"
        text.append(f"{line.part:26}{line.against:25}{line.rate:12,.0f}{value:>12}{spread:>10}{aim:>12}")
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the way of the data costs, each part against its yardstick.")
    parser.add_argument("--jets", type=int, default=4000)
    parser.add_argument("--output", type=Path, default=Path("results/benchmark/data"))
    arguments = parser.parse_args()
    print_status(benchmark_data(arguments.jets, arguments.output))
