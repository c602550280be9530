"""How fast trained networks are used: by torch and by onnxruntime, on one thread and on several.

    python workflow/scripts/benchmark_inference.py [--jets 512] [--threads 1 2]

Made-up jets that fill their images as simulated ones do, with all layers, and networks with the settings of the
configuration's defaults but without training, which takes as long. Torch has preprocessed jets; onnxruntime has raw
ones, whole images or hits, and preprocesses them. All take turns, and the medians of the rounds are given.
Table: results/benchmark/inference/.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from topmass.console import show
from topmass.files import whole
from topmass.layers import LAYERS
from topmass.learning.benchmark.made_up import make_up
from topmass.learning.handover.graph import make_graph
from topmass.learning.handover.parity import masses_in_torch, session_of
from topmass.learning.handover.raw_jets import inputs_of
from topmass.learning.handover.signatures import Dense, Sparse
from topmass.learning.networks.build import NETWORKS
from topmass.learning.networks.model import Model
from topmass.preprocessing.shards import Shard

AT_ONCE = 64
"""Jets; the images of as many are 32 MB."""


def benchmark_inference(jets: int, rounds: int, threads: Sequence[int], names: Sequence[str], out: Path) -> str:
    """Measure; write `inference.csv` and `inference.md` to the folder `out`; return the table as Markdown."""
    shard = make_up(jets, tuple(layer.name for layer in LAYERS))
    parts = [shard.take(np.arange(first, min(first + AT_ONCE, jets))) for first in range(0, jets, AT_ONCE)]
    rows = []
    for name in names:
        model = Model.new({"name": name}, shard.meta)
        graphs = {
            "onnxruntime, images": make_graph(Dense(model), {}),
            "onnxruntime, hits": make_graph(Sparse(model), {}),
        }
        for number in threads:
            torch.set_num_threads(number)
            ways = {"torch": lambda part, model=model: lambda: masses_in_torch(model, part)}
            ways |= {way: in_onnxruntime(graph, number) for way, graph in graphs.items()}
            many = [[make(part) for part in parts] for make in ways.values()]
            alone = [[make(shard.take(np.array([0])))] for make in ways.values()]
            rates, latency = jets / seconds(many, rounds), 1000 * seconds(alone, 10 * rounds)
            rows += [(name, way, number, *found) for way, *found in zip(ways, rates, latency, strict=True)]
    table = pd.DataFrame(rows, columns=["network", "way", "threads", "jets_per_second", "milliseconds_of_one_jet"])
    text = describe(table)
    with whole(out / "inference.csv") as part:
        table.to_csv(part, index=False)
    with whole(out / "inference.md") as part:
        part.write_text(text, encoding="utf-8")
    return text


def in_onnxruntime(graph: bytes, threads: int) -> Callable[[Shard], Callable[[], object]]:
    """What makes of raw jets a call of a graph; their inputs are made beforehand."""
    session = session_of(graph, threads)
    names = [each.name for each in session.get_inputs()]

    def prepare(part: Shard) -> Callable[[], object]:
        raw = Shard(part.offset, part.arrays | {"value": part.arrays["value"].astype("f4")}, part.meta)
        inputs = inputs_of(raw, names)
        return lambda: session.run(None, inputs)

    return prepare


def seconds(ways: Sequence[Sequence[Callable[[], object]]], rounds: int) -> np.ndarray:
    """Median of the rounds, (ways,), in each of which each way makes all its calls; one more goes before, uncounted."""
    found = np.empty((rounds + 1, len(ways)))
    for turn in range(rounds + 1):
        for number, calls in enumerate(ways):
            start = time.perf_counter()
            for call in calls:
                call()
            found[turn, number] = time.perf_counter() - start
    return np.median(found[1:], axis=0)


def describe(table: pd.DataFrame) -> str:
    """The table as Markdown."""
    lines = [f"{AT_ONCE} jets at once; torch {torch.__version__}", ""]
    lines += ["| network | way | threads | jets/s | one jet, ms |", "|---|---|--:|--:|--:|"]
    for name, way, threads, rate, latency in table.itertuples(index=False):
        lines.append(f"| {name} | {way} | {threads} | {rate:,.0f} | {latency:.1f} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How fast trained networks are used, by torch and by onnxruntime.")
    parser.add_argument("--jets", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--networks", nargs="+", default=[*NETWORKS], choices=[*NETWORKS])
    parser.add_argument("--out", type=Path, default=Path("results/benchmark/inference"))
    given = parser.parse_args()
    show(benchmark_inference(given.jets, given.rounds, given.threads, given.networks, given.out))
