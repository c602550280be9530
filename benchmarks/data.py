"""Throughput of the data pipeline, from Pythia to reading shards, each stage against a reference.

    python -m benchmarks.data [--jets 4000]

Rates are per CPU second of one process. Stage and reference take turns in one run, so that machine noise affects both.
Ratios are computed per round; the table has their mean and standard deviation. The jets are simulated with the settings
of the first simulated sample of the configuration. The dense file has doubles and one row group per jet, like the
public CMS files. Targets are those of this project. Table: results/benchmark/data/.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.measure import time_in_turns, write_table
from compute_statistics import compute_statistics
from convert import convert
from make_shards import make_shards
from simulate import produce, simulate
from topmass.config.configuration import configure
from topmass.console import print_status
from topmass.io.dense_file import CMS_COLUMNS, write_dense
from topmass.jets import JetBatch, JetTable, concat_jets, write_jets
from topmass.layers import LAYERS, SIDE
from topmass.preprocessing.shards import Shard
from topmass.preprocessing.split import SPLITS
from topmass.simulation.block import EVENTS_PER_BATCH
from topmass.simulation.generator import Generator, GeneratorSettings

NAMES = [layer.name for layer in LAYERS]
DENSE_BYTES = 4 * len(LAYERS) * SIDE**2
DENSE_JETS, ROW_BY_ROW_JETS = 400, 20
"""Jets of the dense file; the slow reader reads the first 20."""
Row = tuple[str, str, float, float, float, str]
"""Part, reference, rate or size, ratio to the reference, spread of the ratio, and target."""


def benchmark_data(jets: int, out: Path) -> str:
    """Measure all stages with this number of jets; return the table as Markdown."""
    configuration = configure([])
    sample = next(sample for sample in configuration["samples"].values() if "simulate" in sample)
    dataset = next(iter(configuration["datasets"].values()))
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "jets.parquet"
        simulate(table, 0, jets, sample["seed"], sample["simulate"])
        rows = [*simulation(sample["simulate"], folder), *other_processes(sample["simulate"], folder)]
        rows += conversion(table, folder)
        rows += [*preprocessing(table, folder, dataset), *storage(table, folder, jets), *reading(folder)]
    columns = ["part", "reference", "rate, size", "ratio", "spread", "target"]
    return write_table(out, f"{jets:,} jets", pd.DataFrame(rows, columns=columns))


def compare(part: str, reference: str, size: int, seconds: Mapping[str, np.ndarray], target: str) -> Row:
    """Return the row of a stage that processes `size` jets or events, from the seconds of stage and reference."""
    ratio = seconds[reference] / seconds[part]
    return part, reference, size / seconds[part].mean(), ratio.mean(), ratio.std(), target


def time_cpu(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Measure the CPU seconds (rounds,) of functions that take turns."""
    return time_in_turns(work, rounds, time.process_time)


def simulation(settings: Mapping, folder: Path) -> list[Row]:
    """Compare event rates of generation and of the complete simulation with Pythia's bare `next()`."""
    bare, generator = (
        Generator(GeneratorSettings(**settings["generator"]), np.random.SeedSequence(1)) for _ in range(2)
    )
    batches = produce(0, 1, settings)
    next_events = "Pythia's next(), events/s"
    work = {
        next_events: lambda: [bare.pythia.next() for _ in range(EVENTS_PER_BATCH)],
        "generation and readout": lambda: generator.batch(EVENTS_PER_BATCH),
        "complete simulation": lambda: write_jets(folder / "batch.parquet", [next(batches)], LAYERS, {}),
    }
    seconds = time_cpu(work, 4)
    targets = {"generation and readout": "≥ 0.8", "complete simulation": "≥ 0.5"}
    return [compare(part, next_events, EVENTS_PER_BATCH, seconds, target) for part, target in targets.items()]


def other_processes(settings: Mapping, folder: Path) -> list[Row]:
    """Compare the simulation of tt̄ and QCD with Pythia's bare `next()`, and of pile-up with tt̄ without."""
    full = settings["generator"] | {"initial_state_radiation": True, "multiparton_interactions": True}
    generators = {
        "ttbar": full | {"process": "ttbar", "mass": 172.5},
        "qcd": full | {"process": "qcd", "mass": None},
    }
    work: dict[str, Callable[[], object]] = {}

    def simulate_batch(batches: Iterator[JetBatch]) -> None:
        write_jets(folder / "batch.parquet", [next(batches)], LAYERS, {})

    for name, generator in generators.items():
        pythia = Generator(GeneratorSettings(**generator), np.random.SeedSequence(1)).pythia
        work[f"Pythia's next(), {name}, events/s"] = lambda pythia=pythia: [
            pythia.next() for _ in range(EVENTS_PER_BATCH)
        ]
        work[name] = partial(simulate_batch, produce(0, 1, settings | {"generator": generator}))
    pileup = settings | {"generator": generators["ttbar"], "pileup": settings["pileup"] | {"mean": 30}}
    work["ttbar, 30 collisions"] = partial(simulate_batch, produce(0, 1, pileup))
    seconds = time_cpu(work, 2)
    rows = [
        compare(name, f"Pythia's next(), {name}, events/s", EVENTS_PER_BATCH, seconds, "≥ 0.5") for name in generators
    ]
    return [*rows, compare("ttbar, 30 collisions", "ttbar", EVENTS_PER_BATCH, seconds, "≥ 0.5")]


def conversion(table: Path, folder: Path) -> list[Row]:
    """Compare the stage `convert` with pyarrow's decoding of the images and with a row-by-row reader."""
    dense, image = folder / "dense.parquet", CMS_COLUMNS["image"]
    jets = concat_jets([*JetTable(table).batches()])
    jets = jets.take(np.arange(min(DENSE_JETS, len(jets))))
    write_dense(dense, jets)

    def decode() -> None:
        # The fastest known settings of pyarrow.
        for _ in pq.ParquetFile(dense).iter_batches(8, columns=[image], use_threads=False):
            pass

    def read_row_by_row() -> None:
        # Via Python lists, as the reference code does.
        file = pq.ParquetFile(dense)
        for row in range(ROW_BY_ROW_JETS):
            np.float32(file.read_row_group(row, columns=[image], use_threads=False).to_pydict()[image][0])

    work = {
        "convert a dense file": partial(convert, dense, folder / "converted.parquet", layers=NAMES),
        "decoding by pyarrow, jets/s": decode,
        "row by row, jets/s": read_row_by_row,
    }
    seconds = time_cpu(work, 10)
    seconds["row by row, jets/s"] *= len(jets) / ROW_BY_ROW_JETS
    targets = {"decoding by pyarrow, jets/s": "≥ 0.75", "row by row, jets/s": "≥ 5"}
    return [compare("convert a dense file", name, len(jets), seconds, target) for name, target in targets.items()]


def preprocessing(table: Path, folder: Path, dataset: Mapping) -> list[Row]:
    """Measure statistics and shards of all layers, in jets per second and core."""
    statistics = folder / "statistics.json"

    def preprocess() -> None:
        compute_statistics(
            [table], statistics, "gun", dataset["split"], NAMES, {}, dataset["scale_quantile"], dataset["flatten"]
        )
        shards = {split: folder / f"{split}.npz" for split in SPLITS}
        make_shards(table, statistics, shards, dataset["zero_suppression"], dataset["compression"])

    rates = len(JetTable(table)) / time_cpu({"preprocess": preprocess}, 5)["preprocess"]
    return [("statistics and shards", "jets/s per core", rates.mean(), np.nan, rates.std(), "≥ 20,000")]


def storage(table: Path, folder: Path, jets: int) -> list[Row]:
    """Compare the bytes per jet of tables and shards with those of dense float32 images."""
    paths = [folder / f"{split}.npz" for split in SPLITS]
    sizes = {
        "jet table": table.stat().st_size / jets,
        "shard": sum(path.stat().st_size for path in paths) / sum(len(Shard.load(path)) for path in paths),
    }
    reference = "dense float32, bytes per jet"
    return [(part, reference, size, size / DENSE_BYTES, np.nan, "≤ 1/200") for part, size in sizes.items()]


def reading(folder: Path) -> list[Row]:
    """Compare reading and checking a shard with only reading its arrays."""
    path = folder / "train.npz"
    part, reference = "shard reading, with all checks", "numpy.load, jets/s"
    seconds = time_cpu({part: lambda: Shard.load(path), reference: lambda: dict(np.load(path))}, 5)
    return [compare(part, reference, len(Shard.load(path)), seconds, "≥ 0.5")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Throughput of the data pipeline, each stage against a reference.")
    parser.add_argument("--jets", type=int, default=4000)
    parser.add_argument("--out", type=Path, default=Path("results/benchmark/data"))
    arguments = parser.parse_args()
    print_status(benchmark_data(arguments.jets, arguments.out))
