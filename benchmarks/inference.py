"""Inference rate of the networks in PyTorch and ONNX Runtime, by number of threads.

    python -m benchmarks.inference [--jets 512] [--threads 1 2]

Synthetic jets with all layers fill their images like simulated jets. The networks have the default settings and are
untrained, which does not change the rate. PyTorch receives preprocessed jets; ONNX Runtime receives raw jets, as dense
images or hits, and preprocesses them. All take turns; results are medians of the rounds.
Table: results/benchmark/inference/.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.measure import time_in_turns, write_table
from benchmarks.synthetic import make_synthetic_shard
from topmass.console import print_status
from topmass.export.export_inputs import graph_inputs
from topmass.export.onnx_model import build_onnx_model
from topmass.export.parity import open_session, predict_in_torch
from topmass.export.wrappers import DenseWrapper, SparseWrapper
from topmass.layers import LAYERS
from topmass.models.trained_model import NETWORKS, TrainedModel
from topmass.preprocessing.shards import Shard

BATCH = 64
"""Jets per batch; the images of one batch have 32 MB."""
ROUNDS = 3


def benchmark_inference(jets: int, threads: Sequence[int], names: Sequence[str], out: Path) -> str:
    """Measure rates in batches and latencies of a single jet; return the table as Markdown.

    Args:
        jets: Number of jets.
        threads: Numbers of threads.
        names: Names of the networks.
        out: Folder of the table.
    """
    shard = make_synthetic_shard(jets, tuple(layer.name for layer in LAYERS))
    batches = [shard.take(np.arange(first, min(first + BATCH, jets))) for first in range(0, jets, BATCH)]
    rows = []
    for name in names:
        model = TrainedModel.new({"name": name}, shard.meta)
        wrappers = {"ONNX Runtime, images": DenseWrapper(model), "ONNX Runtime, hits": SparseWrapper(model)}
        graphs = {runtime: build_onnx_model(wrapper, {}) for runtime, wrapper in wrappers.items()}
        for number in threads:
            torch.set_num_threads(number)
            prepare = {"torch": lambda part, model=model: lambda: predict_in_torch(model, part)}
            prepare |= {runtime: onnx_call(graph, number) for runtime, graph in graphs.items()}
            rates = jets / median_seconds(prepare, batches, ROUNDS)
            latencies = 1000 * median_seconds(prepare, [shard.take(np.array([0]))], 10 * ROUNDS)
            rows += zip([name] * 3, prepare, [number] * 3, rates, latencies, strict=True)
    table = pd.DataFrame(rows, columns=["network", "runtime", "threads", "jets/s", "one jet, ms"])
    return write_table(out, f"batches of {BATCH} jets; torch {torch.__version__}", table)


def onnx_call(graph: bytes, threads: int) -> Callable[[Shard], Callable[[], object]]:
    """Return a function that prepares the inputs of raw jets and returns a call of the ONNX model."""
    session = open_session(graph, threads)
    names = [each.name for each in session.get_inputs()]

    def prepare(part: Shard) -> Callable[[], object]:
        raw = Shard(part.offset, part.arrays | {"value": part.arrays["value"].astype("f4")}, part.meta)
        inputs = graph_inputs(raw, names)
        return lambda: session.run(None, inputs)

    return prepare


def median_seconds(
    prepare: dict[str, Callable[[Shard], Callable[[], object]]], parts: Sequence[Shard], rounds: int
) -> np.ndarray:
    """Measure the median seconds (R,) in which each of R runtimes predicts all parts."""
    calls = {runtime: [make(part) for part in parts] for runtime, make in prepare.items()}
    work = {runtime: lambda runtime=runtime: [call() for call in calls[runtime]] for runtime in calls}
    return np.median([*time_in_turns(work, rounds).values()], axis=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Inference rate in PyTorch and ONNX Runtime.")
    parser.add_argument("--jets", type=int, default=512)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--networks", nargs="+", default=[*NETWORKS], choices=[*NETWORKS])
    parser.add_argument("--out", type=Path, default=Path("results/benchmark/inference"))
    arguments = parser.parse_args()
    print_status(benchmark_inference(arguments.jets, arguments.threads, arguments.networks, arguments.out))
