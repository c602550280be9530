"""What the way of the data costs, from Pythia to shards that are read, each part against its yardstick.

    python workflow/scripts/benchmark_data.py [--jets 4000] [--output results/benchmark/data]

Rates are per CPU second of one process, and what is compared takes turns in one run, so that noise of the machine hits
both; ratios are taken in each turn, and their mean and standard deviation are given. The jets are simulated here, with
the settings of the first simulated sample of the configuration; the dense file has doubles and one row group a jet, as
the public CMS files. Aims are those that the project has set itself.
"""

import argparse
import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq

from benchmark_simulation import ROUND, cpu_seconds, read_settings, time_rounds
from make_shards import make_shards
from measure import measure
from simulate import simulate
from sparsify import sparsify
from topmass.console import show
from topmass.drawing.benchmark import reached_of_aimed
from topmass.drawing.style import save, styled
from topmass.files import whole
from topmass.jets import JetTable, join
from topmass.layers import LAYERS, SIDE
from topmass.preprocessing.shards import Shard
from topmass.preprocessing.split import SPLITS
from topmass.sources.dense_file import CMS_COLUMNS, write_dense
from topmass.workflow.configuration import configure

NAMES = [layer.name for layer in LAYERS]
DENSE_BYTES = 4 * len(LAYERS) * SIDE**2
PARTS = 10
"""Turns in which the dense file is read."""
ROW_BY_ROW = 20
"""Jets a turn for the slowest reader."""
TURNS = 5
"""Of preprocessing and of reading shards."""


@dataclass(frozen=True)
class Measured:
    """One line of the table: `value` in `unit`, its standard deviation over the turns, and the aim for it."""

    part: str
    against: str
    rate: float
    value: float
    spread: float
    aim: float
    at_most: bool = False

    @property
    def reached(self) -> tuple[float, float]:
        """What was reached over the aim, or the aim over it, so that more is better; and the spread of that."""
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
        lines += sparsifying(folder / "jets.parquet", folder / "dense.parquet")
        lines += preprocessing(folder, next(iter(settings["datasets"].values())))
        lines += storage(folder, jets)
        lines += reading(folder)
    title = f"{jets:,} jets, {PARTS} turns of the dense file, {TURNS} of preprocessing"
    with whole(output / "table.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(field.name for field in fields(Measured))
        rows.writerows([getattr(line, field.name) for field in fields(Measured)] for line in lines)
    with styled(settings["figures"]["colours"]):
        figure = reached_of_aimed({f"{line.part} / {line.against}": line.reached for line in lines}, title)
        save(figure, output / "chart.png", output / "chart.pdf")
    text = describe(title, lines)
    with whole(output / "table.txt") as part:
        part.write_text(text, encoding="utf-8")
    return text


def simulation() -> list[Measured]:
    """Generation and the whole simulation against Pythia's bare `next()`, by events."""
    seconds, _, _ = time_rounds(read_settings(), 4 * ROUND)
    rates, ratios = ROUND / seconds.mean(axis=0), seconds[:, :1] / seconds
    against = "Pythia's next(), events"
    return [
        Measured("generation and read-out", against, rates[1], ratios[:, 1].mean(), ratios[:, 1].std(), 0.8),
        Measured("whole simulation", against, rates[2], ratios[:, 2].mean(), ratios[:, 2].std(), 0.5),
    ]


def sparsifying(table: Path, dense: Path) -> list[Measured]:
    """The stage against pyarrow's decoding of the images, and against a reader that goes row by row."""
    jets = join(list(JetTable(table).batches()))
    write_dense(dense, jets)
    size = len(jets) // PARTS
    seconds = []
    for turn in range(PARTS):
        rows = range(turn * size, (turn + 1) * size)
        ours = cpu_seconds(lambda turn=turn: sparsify(dense, dense.with_suffix(".out"), 0, turn, PARTS, NAMES))
        bare = cpu_seconds(lambda rows=rows: decode(dense, rows))
        slow = cpu_seconds(lambda rows=rows: to_lists(dense, rows[:ROW_BY_ROW])) * size / ROW_BY_ROW
        seconds.append((ours, bare, slow))
    ours, bare, slow = np.array(seconds).T
    return [
        Measured("sparsify", "pyarrow decoding", size / ours.mean(), (bare / ours).mean(), (bare / ours).std(), 0.75),
        Measured("sparsify", "row by row", size / ours.mean(), (slow / ours).mean(), (slow / ours).std(), 5),
    ]


def decode(dense: Path, rows: range) -> None:
    """Decode the images of these row groups and throw them away: the fastest that pyarrow is known to."""
    for _ in pq.ParquetFile(dense).iter_batches(8, row_groups=rows, columns=[CMS_COLUMNS["image"]], use_threads=False):
        pass


def to_lists(dense: Path, rows: range) -> None:
    """The same row by row, by way of lists of Python, as the reference reads it."""
    file, column = pq.ParquetFile(dense), CMS_COLUMNS["image"]
    for row in rows:
        np.float32(file.read_row_group(row, columns=[column], use_threads=False).to_pydict()[column][0])


def preprocessing(folder: Path, dataset: Mapping) -> list[Measured]:
    """Statistics and shards of all layers, in jets a second and core."""
    table, statistics = folder / "jets.parquet", folder / "statistics.json"
    shards = {split: folder / f"{split}.npz" for split in SPLITS}

    def both() -> None:
        measure([table], statistics, "gun", dataset["split"], NAMES, {}, dataset["scale_quantile"], dataset["unbias"])
        make_shards(table, statistics, shards, dataset["zero_suppression"], dataset["compression"])

    rate = len(JetTable(table)) / np.array(turns(both))
    return [Measured("statistics and shards", "jets/s/core", rate.mean(), rate.mean(), rate.std(), 20_000)]


def storage(folder: Path, jets: int) -> list[Measured]:
    """Bytes a jet with all layers against dense float32."""
    kept = sum(len(Shard.load(folder / f"{split}.npz")) for split in SPLITS)
    size = sum((folder / f"{split}.npz").stat().st_size for split in SPLITS)
    table = (folder / "jets.parquet").stat().st_size
    return [
        Measured("jet table, bytes", "dense float32", table / jets, table / jets / DENSE_BYTES, 0, 1 / 200, True),
        Measured("shard, bytes", "dense float32", size / kept, size / kept / DENSE_BYTES, 0, 1 / 200, True),
    ]


def reading(folder: Path) -> list[Measured]:
    """Reading and checking a shard against reading its arrays alone."""
    path = folder / "train.npz"
    ours, bare = (np.array(turns(work)) for work in (lambda: Shard.load(path), lambda: dict(np.load(path))))
    rate, ratio = len(Shard.load(path)) / ours.mean(), bare / ours
    return [Measured("shard reading, checked", "numpy.load", rate, ratio.mean(), ratio.std(), 0.5)]


def turns(work: Callable[[], object]) -> list[float]:
    """CPU seconds of each of TURNS, after a first one that does not count."""
    return [cpu_seconds(work) for _ in range(TURNS + 1)][1:]


def describe(title: str, lines: list[Measured]) -> str:
    """The table as text."""
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
    show(benchmark_data(arguments.jets, arguments.output))
