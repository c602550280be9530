"""Inference rate of the networks in PyTorch and ONNX Runtime, by number of threads.

    python workflow/scripts/benchmark_inference.py [--jets 512] [--threads 1 2]

Synthetic jets with all layers fill their images like simulated jets. The networks have the default settings and are
untrained, which does not change the rate. PyTorch receives preprocessed jets; ONNX Runtime receives raw jets, as dense
images or hits, and preprocesses them. All take turns; results are medians of the rounds.
Table: results/benchmark/inference/.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

# Python does not search this folder by itself with -I, -P or PYTHONSAFEPATH.
sys.path.append(str(Path(__file__).resolve().parent))
from topmass.benchmark.synthetic import make_synthetic_shard
from topmass.console import print_status
from topmass.export.export_inputs import graph_inputs
from topmass.export.onnx_model import build_onnx_model
from topmass.export.parity import predict_in_torch, session_of
from topmass.export.wrappers import DenseWrapper, SparseWrapper
from topmass.files import atomic_write
from topmass.layers import LAYERS
from topmass.models.trained_model import NETWORKS, TrainedModel
from topmass.preprocessing.shards import Shard

AT_ONCE = 64
"""Jets per batch; the images of one batch have 32 MB."""


def benchmark_inference(jets: int, rounds: int, threads: Sequence[int], names: Sequence[str], out: Path) -> str:
    """Measure rates and latencies; return the table as Markdown.

    Args:
        jets: Number of jets.
        rounds: Rounds for the rates; latencies have ten times as many.
        threads: Numbers of threads.
        names: Names of the networks.
        out: Folder of `inference.csv` and `inference.md`.
    """
    shard = make_synthetic_shard(jets, tuple(layer.name for layer in LAYERS))
    parts = [shard.take(np.arange(first, min(first + AT_ONCE, jets))) for first in range(0, jets, AT_ONCE)]
    rows = []
    for name in names:
        model = TrainedModel.new({"name": name}, shard.meta)
        graphs = {
            "onnxruntime, images": build_onnx_model(DenseWrapper(model), {}),
            "onnxruntime, hits": build_onnx_model(SparseWrapper(model), {}),
        }
        for number in threads:
            torch.set_num_threads(number)
            ways = {"torch": lambda part, model=model: lambda: predict_in_torch(model, part)}
            ways |= {way: in_onnxruntime(graph, number) for way, graph in graphs.items()}
            many = [[make(part) for part in parts] for make in ways.values()]
            alone = [[make(shard.take(np.array([0])))] for make in ways.values()]
            rates, latency = jets / seconds(many, rounds), 1000 * seconds(alone, 10 * rounds)
            rows += [(name, way, number, *found) for way, *found in zip(ways, rates, latency, strict=True)]
    table = pd.DataFrame(rows, columns=["network", "way", "threads", "jets_per_second", "milliseconds_of_one_jet"])
    text = describe(table)
    with atomic_write(out / "inference.csv") as part:
        table.to_csv(part, index=False)
    with atomic_write(out / "inference.md") as part:
        part.write_text(text, encoding="utf-8")
    return text


def in_onnxruntime(graph: bytes, threads: int) -> Callable[[Shard], Callable[[], object]]:
    """Return a function that prepares the inputs of raw jets and returns a call of the ONNX model."""
    session = session_of(graph, threads)
    names = [each.name for each in session.get_inputs()]

    def prepare(part: Shard) -> Callable[[], object]:
        raw = Shard(part.offset, part.arrays | {"value": part.arrays["value"].astype("f4")}, part.meta)
        inputs = graph_inputs(raw, names)
        return lambda: session.run(None, inputs)

    return prepare


def seconds(ways: Sequence[Sequence[Callable[[], object]]], rounds: int) -> np.ndarray:
    """Measure the median seconds `(ways,)` in which each way makes all its calls, after one warm-up round."""
    found = np.empty((rounds + 1, len(ways)))
    for turn in range(rounds + 1):
        for number, calls in enumerate(ways):
            start = time.perf_counter()
            for call in calls:
                call()
            found[turn, number] = time.perf_counter() - start
    return np.median(found[1:], axis=0)


def describe(table: pd.DataFrame) -> str:
    """Return the table as Markdown."""
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
    print_status(benchmark_inference(given.jets, given.rounds, given.threads, given.networks, given.out))
