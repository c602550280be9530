"""Make a trained network two graphs of ONNX, and hold them to what it says in torch."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from topmass.console import say, stage
from topmass.files import whole
from topmass.learning.handover.about import describe, preprocessing_of
from topmass.learning.handover.graph import make_graph
from topmass.learning.handover.parity import JETS, TOLERANCE, largest_differences, masses_in_torch
from topmass.learning.handover.raw_jets import find_test_jets
from topmass.learning.handover.signatures import Dense, Sparse
from topmass.learning.networks.model import Model


def export(
    model: Path,
    tables: Sequence[Path],
    statistics: Path,
    metrics: Path | None,
    dense: Path,
    sparse: Path,
    parity: Path,
    preprocess: Path,
    threads: int,
) -> None:
    """Write the graph of images `dense`, that of hits `sparse`, how well both agree with torch, and weaver's JSON.

    Compared are jets of the test split of the `tables`, raw, which were preprocessed with `statistics`. `metrics`, if
    given, has the scores for the metadata. BadInput, and nothing is written, if a graph does not agree.
    """
    torch.set_num_threads(threads)
    trained = Model.load(model)
    about = describe(trained, model, metrics)
    raw, made = find_test_jets(tables, statistics, trained.shards, JETS)
    expected = masses_in_torch(trained, made)
    graphs, largest = {}, {}
    for path, signature in ((dense, Dense(trained)), (sparse, Sparse(trained))):
        graphs[path] = make_graph(signature, about)
        largest[path.name] = largest_differences(
            str(path), graphs[path], raw, expected, threads,
            lambda sizes, name=path.name: tqdm(sizes, name, unit="batch size", leave=False, disable=None),
        )  # fmt: skip
        say(f"{path.name}: {max(largest[path.name].values()):.2g} GeV from torch at most, {len(raw):,} test jets")
    for path, graph in graphs.items():
        with whole(path) as part:
            part.write_bytes(graph)
    write(preprocess, preprocessing_of(trained.shards, signature.outputs()))
    write(parity, {"tolerance": TOLERANCE, "jets": len(raw), "largest_difference": largest})


def write(path: Path, content: dict) -> None:
    """Write as JSON."""
    with whole(path) as part:
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with stage("export", snakemake.log[0]):
        export(
            Path(snakemake.input.model),
            [Path(path) for path in snakemake.input.tables],
            Path(snakemake.input.statistics),
            Path(snakemake.input.metrics),
            Path(snakemake.output.dense),
            Path(snakemake.output.sparse),
            Path(snakemake.output.parity),
            Path(snakemake.output.preprocess),
            snakemake.threads,
        )
