"""Everything from simulation to metrics in one go, without Snakemake and without a network.

    python workflow/scripts/gpu_run.py --jets 2000000 [--experiment reference] [--out results/gpu_run] [--benchmark]

For a machine that is at hand for a while only: as many processes as it has cores simulate and preprocess, then the
experiment is trained with the device that there is, and evaluated. Each part is a stage of the workflow, called as
Snakemake calls it, with the settings of the configuration. A part whose files are there is not done again, and a
training that was stopped goes on: the same command after an interruption does the rest.

The folder then has jets, shards, weights, history, predictions, metrics, figures, the table of the training benchmark
if it was asked for, and `run.json`: jets, seconds that each part took in this call, device, versions, commit. Stages
are found by name, for scripts do not import scripts.
"""

import argparse
import importlib
import json
import logging
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from topmass.console import say, stage
from topmass.files import BadInput, whole
from topmass.reporting.provenance import commit
from topmass.workflow.baselines import kinds_of_trees
from topmass.workflow.configuration import HOUSE, configure
from topmass.workflow.reading import read_file

SPLITS = ("train", "validation", "test")
PACKAGES = ("torch", "numpy", "lightgbm", "numba", "pythia8mc", "fastjet", "pyarrow")


def gpu_run(settings: Mapping, experiment: str, jets: int, seed: int, workers: int, benchmark: bool, out: Path) -> None:
    """Run all stages of one experiment of a configuration with one random seed, on so many jets, into `out`."""
    known = settings["experiments"]
    if experiment not in known:
        raise BadInput(f"there is no experiment '{experiment}'; known are {', '.join(known)}")
    claim(out, {"settings": settings, "experiment": experiment, "jets": jets, "seed": seed})
    chosen = known[experiment]
    dataset = settings["datasets"][chosen["dataset"]]
    sample = settings["samples"][dataset["sample"]]
    run = Run(out, workers)
    with run.part("simulate"):
        blocks = range(-(-jets // sample["jets_per_block"]))
        tables = [out / f"jets/{block:05d}.parquet" for block in blocks]
        size = min(jets, sample["jets_per_block"])
        made_of = [sample["simulate"][name] for name in ("generator", "detector", "selection")]
        run.each("simulate", tables, ((table, i, size, sample["seed"], *made_of) for i, table in enumerate(tables)))
    with run.part("preprocess"):
        statistics, shards = preprocess(run, dataset, tables)
    shards["train"] = shards["train"][: chosen["blocks"]]
    with run.part("train"):
        best, last, history = (out / name for name in ("model.safetensors", "last.safetensors", "history.csv"))
        beside = (out / "training.json", out / "checkpoint/checkpoint.safetensors", out / "tensorboard")
        recipe = (chosen["network"], chosen["recipe"], seed, settings["compute"], workers)
        run.once("train", history, (shards, statistics, best, last, history, *beside, *recipe))
    with run.part("baselines"):
        trees = {name: out / f"{name}.parquet" for name in kinds_of_trees(settings)}
        run.once("fit_trees", trees["trees_image"], (shards, statistics, trees, workers))
    with run.part("evaluate"):
        evaluate(run, settings, (experiment, seed), best, shards["test"], trees)
    if benchmark:
        with run.part("benchmark"):
            measure_training(out, chosen["recipe"]["batch"])
    run.finish(len(tables) * size)


def claim(out: Path, settings: Mapping) -> None:
    """Let the folder be that of a run with these settings; BadInput if it is that of another."""
    file, text = out / "settings.json", json.dumps(settings, indent=2) + "\n"
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise BadInput(f"{file}: a run with other settings or another number of jets; give another folder with --out")
    with whole(file) as part:
        part.write_text(text, encoding="utf-8")


def preprocess(run: "Run", dataset: Mapping, tables: list[Path]) -> tuple[Path, dict[str, list[Path]]]:
    """Statistics, and the shards of each split."""
    statistics = run.out / "statistics.json"
    names = ("split", "layers", "scales", "scale_quantile", "unbias")
    run.once("measure", statistics, (tables, statistics, dataset["sample"], *(dataset[name] for name in names)))
    shards = {split: [run.out / f"shards/{split}/{table.stem}.npz" for table in tables] for split in SPLITS}
    how = (dataset["zero_suppression"], dataset["compression"])
    given = ((table, statistics, {split: shards[split][i] for split in SPLITS}, *how) for i, table in enumerate(tables))
    run.each("make_shards", shards["test"], given)
    return statistics, shards


def evaluate(
    run: "Run", settings: Mapping, name: tuple[str, int], model: Path, shards: list[Path], trees: Mapping[str, Path]
) -> None:
    """Predictions, metrics and figures."""
    names = ("predictions.parquet", "metrics.json", "metrics.csv", "summary.txt")
    predictions, metrics, spreadsheet, summary = (run.out / each for each in names)
    compute = settings["compute"]
    run.once("predict", predictions, (model, shards, predictions, compute["device"], compute["precision"], run.workers))
    asked = settings["evaluate"]
    bins = {"mass": asked["mass_bins"], "pt": asked["pt_bins"]}
    scored = (bins, asked["mass_above"], asked["bootstrap"])
    run.once("evaluate", metrics, (predictions, trees, metrics, spreadsheet, summary, *name, *scored))
    slope, colours = (settings["figures"][name] for name in ("falling_slope", "colours"))
    for drawing, given, names, more in (
        ("draw_history", (run.out / "history.csv",), ("loss", "errors"), ()),
        ("draw_predictions", (predictions, metrics, trees), ("predicted", "spectrum", "median_error"), (slope,)),
        ("draw_metrics", (metrics,), ("response", "mean_errors", "resolution_map"), ()),
    ):
        figures = [run.out / f"figures/{name}.png" for name in names]
        run.once(drawing, figures[-1].with_suffix(".csv"), (*given, *figures, *more, colours))


def measure_training(out: Path, batch: int) -> None:
    """The training benchmark on the shards of this run."""
    command = [sys.executable, str(Path(__file__).with_name("benchmark_training.py")), "--shards", str(out / "shards")]
    command += ["--batch", str(batch), "--jets", str(4 * batch), "--out", str(out / "benchmark")]
    told = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace")
    say(told.stdout if not told.returncode else f"the benchmark ended with status {told.returncode}")


@dataclass
class Run:
    """Calls stages, and notes how long the parts take."""

    out: Path
    workers: int
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part."""
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)
        say(f"{name}: {self.seconds[name]:,.0f} s")

    def once(self, name: str, result: Path, arguments: tuple) -> None:
        """Call a stage unless its result is there."""
        if not result.exists():
            find_stage(name)(*arguments)

    def each(self, name: str, results: Iterable[Path], arguments: Iterable[tuple]) -> None:
        """Call a stage in several processes, once for each result that is not there."""
        missing = [(name, given) for result, given in zip(results, arguments, strict=True) if not result.exists()]
        if not missing:
            return
        before = dict(os.environ)
        # One thread a process; libraries read it when they are imported.
        os.environ["OMP_NUM_THREADS"] = "1"
        # Not a fork: a GPU, and threads that run already, do not survive it.
        with multiprocessing.get_context("spawn").Pool(min(self.workers, len(missing))) as pool:
            for _ in pool.imap_unordered(call_quietly, missing):
                pass
        os.environ.clear()
        os.environ.update(before)

    def finish(self, jets: int) -> None:
        """Write what was run on what, and how long it took."""
        import torch  # not at the top: each process of `each` imports this file

        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        about = {"jets": jets, "seconds": self.seconds, "device": device, "cores": self.workers}
        about["commit"] = commit(HOUSE)
        about |= {"python": platform.python_version(), "versions": {name: version(name) for name in PACKAGES}}
        with whole(self.out / "run.json") as part:
            part.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        say((self.out / "summary.txt").read_text(encoding="utf-8"))


def find_stage(name: str) -> Callable:
    """The public function of the stage of this name: scripts lie beside this one, and each has one of its own name."""
    return getattr(importlib.import_module(name), name)


def call_quietly(work: tuple[str, tuple]) -> None:
    """Call a stage in a process of its own, without its messages."""
    logging.getLogger("topmass").setLevel(logging.WARNING)
    name, arguments = work
    find_stage(name)(*arguments)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Everything from simulation to metrics, without Snakemake.")
    parser.add_argument("--config", type=Path, nargs="*", default=[], help="on top of config.yaml")
    parser.add_argument("--experiment", default="reference")
    parser.add_argument("--jets", type=int, default=2_000_000, help="to simulate")
    parser.add_argument("--seed", type=int, default=1, help="of the training")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--benchmark", action="store_true", help="measure the training as well, at the end")
    parser.add_argument("--out", type=Path, default=Path("results/gpu_run"))
    given = parser.parse_args()
    with stage("gpu_run", str(given.out / "log.txt")):
        settings = configure([read_file(file) for file in given.config])
        gpu_run(settings, given.experiment, given.jets, given.seed, given.workers, given.benchmark, given.out)
