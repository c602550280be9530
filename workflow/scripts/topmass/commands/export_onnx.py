"""ONNX export of a trained network, validated against PyTorch."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from topmass.console import log_info
from topmass.export.export_inputs import find_test_jets
from topmass.export.export_metadata import model_metadata, weaver_preprocessing
from topmass.export.onnx_model import build_onnx_model
from topmass.export.parity import JETS, TOLERANCE, largest_differences, predict_in_torch
from topmass.export.wrappers import DenseWrapper, SparseWrapper
from topmass.files import atomic_write
from topmass.limits import available_cores
from topmass.models.trained_model import TrainedModel

DESCRIPTION = """
Export a trained network as ONNX models that include the preprocessing, and compare their masses with PyTorch on some
jets. The folder OUT receives model.onnx (images as input), model_sparse.onnx (hits as input), parity.json (largest
differences) and preprocess.json (for weaver).
"""


def export_onnx(
    model: Path,
    tables: Sequence[Path],
    statistics: Path | None,
    metrics: Path | None,
    dense: Path,
    sparse: Path,
    parity: Path,
    preprocess: Path,
    threads: int,
) -> None:
    """Write two ONNX models, their parity with PyTorch, and weaver's preprocessing JSON.

    Args:
        model: Trained network.
        tables: Jet tables; raw jets of their test split are compared.
        statistics: Statistics with which the jets were preprocessed; None compares jets of all splits.
        metrics: Scores for the metadata, or None.
        dense: ONNX model with images as input.
        sparse: ONNX model with hits as input.
        parity: JSON file with the largest differences to PyTorch, GeV.
        preprocess: Preprocessing JSON of weaver.
        threads: Number of threads.

    Raises:
        BadInput: An ONNX model disagrees with PyTorch; nothing is written.
    """
    torch.set_num_threads(threads)
    trained = TrainedModel.load(model)
    metadata = model_metadata(trained, model, metrics)
    raw, preprocessed = find_test_jets(tables, statistics, trained.shards, JETS)
    expected = predict_in_torch(trained, preprocessed)
    graphs, largest = {}, {}
    for path, wrapper in ((dense, DenseWrapper(trained)), (sparse, SparseWrapper(trained))):
        graphs[path] = build_onnx_model(wrapper, metadata)
        largest[path.name] = largest_differences(str(path), graphs[path], raw, expected, threads)
        log_info(f"{path.name}: {max(largest[path.name].values()):.2g} GeV from torch at most, {len(raw):,} test jets")
    for path, graph in graphs.items():
        with atomic_write(path) as part:
            part.write_bytes(graph)
    comparison = {"tolerance": TOLERANCE, "jets": len(raw), "largest_difference": largest}
    for path, content in ((preprocess, weaver_preprocessing(trained.shards, wrapper.outputs())), (parity, comparison)):
        with atomic_write(path) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="model.safetensors of a training")
    parser.add_argument("jets", metavar="JETS", nargs="+", type=Path, help="jet tables of topmass, for the comparison")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write")


def run(arguments: argparse.Namespace) -> None:
    """Run the command with its parsed arguments."""
    names = ("model.onnx", "model_sparse.onnx", "parity.json", "preprocess.json")
    outputs = (arguments.out / name for name in names)
    export_onnx(arguments.model, arguments.jets, None, None, *outputs, available_cores())
