"""Networks as ONNX: the same masses as in torch, from raw jets, whatever their number, order and padding."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch

from benchmark_inference import benchmark_inference
from conftest import REPOSITORY, SPLIT, UNBIAS, make_jets
from export import export
from make_shards import make_shards
from measure import measure
from test_networks import SMALL, network_for
from topmass.files import BadInput
from topmass.jets import write_jets
from topmass.layers import LAYERS, SIDE
from topmass.learning.handover import parity
from topmass.learning.handover.graph import make_graph
from topmass.learning.handover.operations import OPSET, operations
from topmass.learning.handover.parity import masses_in_torch, session_of
from topmass.learning.handover.raw_jets import find_test_jets, inputs_of
from topmass.learning.handover.signatures import Dense, Sparse
from topmass.learning.networks.build import NETWORKS
from topmass.learning.networks.model import Model
from topmass.learning.tensors import read_tensors, to_bytes
from topmass.preprocessing.scaling import scale_values
from topmass.preprocessing.shards import Shard

QUANTILES = (0.16, 0.5, 0.84)
EMPTY = 2
"""A test jet without a value."""


class Trained(NamedTuple):
    """The files that an export reads."""

    model: Path
    tables: list[Path]
    statistics: Path


def prepare(folder: Path, name: str, quantiles: tuple[float, ...] = QUANTILES, position: bool = True) -> Trained:
    """Forty jets, some values of which are suppressed and some clipped, and a network of them."""
    batch = make_jets(40, values=160)
    if not position:
        batch = replace(batch, ieta=np.full(40, np.nan, "f4"), iphi=np.full(40, np.nan, "f4"))
    table, statistics = folder / "00000.parquet", folder / "statistics.json"
    write_jets(table, [batch], LAYERS, {}, position)
    measure([table], statistics, "made_up", SPLIT, [layer.name for layer in LAYERS], {}, 0.95, UNBIAS)
    shards = {split: folder / f"{split}.npz" for split in SPLIT}
    make_shards(table, statistics, shards, 0.02, "log")
    shard = Shard.load(shards["train"])
    network = network_for(SMALL[name], shard, len(quantiles) or 1)
    model = Model(network, SMALL[name], shard.meta, quantiles, 1.2)
    model.save(folder / "model.safetensors")
    return Trained(folder / "model.safetensors", [table], statistics)


def export_to(folder: Path, trained: Trained, metrics: Path | None = None) -> list[Path]:
    """Paths of both graphs, the parity and weaver's JSON."""
    paths = [folder / name for name in ("model.onnx", "model_sparse.onnx", "parity.json", "preprocess.json")]
    export(*trained, metrics, *paths, 1)
    return paths


@pytest.fixture(params=NETWORKS)
def trained(request, tmp_path) -> Trained:
    return prepare(tmp_path, request.param)


@pytest.fixture
def small(tmp_path) -> Trained:
    return prepare(tmp_path, "kinematics", ())


def test_both_graphs_say_what_torch_says(trained, tmp_path):
    dense, sparse, agreement, preprocess = export_to(tmp_path / "export", trained)
    found = json.loads(agreement.read_text())
    assert set(found["largest_difference"]) == {"model.onnx", "model_sparse.onnx"}
    for differences in found["largest_difference"].values():
        assert set(differences) == {"1", "2", "7", "256"} and max(differences.values()) <= found["tolerance"] == 0.05
    for path, names in ((dense, ["image", "ieta", "iphi"]), (sparse, ["hits", "position"])):
        graph = onnx.load(path)
        onnx.checker.check_model(graph, full_check=True)
        assert graph.opset_import[0].version == OPSET == 17
        session = session_of(path.read_bytes(), 1)
        assert [each.name for each in session.get_inputs()] == names
        assert [each.name for each in session.get_outputs()] == ["mass", "quantiles"]
        for each in (*session.get_inputs(), *session.get_outputs()):
            assert each.type == "tensor(float)" and each.shape[0] == "jets" and "-" not in each.name
    assert json.loads(preprocess.read_text())["hits"]["var_names"] == ["row", "column", "layer", "value"]


def test_neither_order_nor_padding_nor_other_jets_change_a_mass(trained):
    model = Model.load(trained.model)
    raw, made = find_test_jets(trained.tables, trained.statistics, model.shards, 7)
    kept = np.diff(raw.offset)
    chosen = np.delete(np.arange(raw.offset[-1]), np.arange(raw.offset[EMPTY], raw.offset[EMPTY + 1]))
    kept[EMPTY] = 0
    arrays = raw.arrays | {name: raw.arrays[name][chosen] for name in ("pixel", "layer", "value")}
    raw = Shard(np.concatenate([[0], np.cumsum(kept)]), arrays, raw.meta)
    session = session_of(make_graph(Sparse(model), {}), 1)
    inputs = inputs_of(raw, ["hits", "position"])
    hits, position = inputs["hits"], inputs["position"]
    expected = session.run(["mass"], inputs)[0]
    others = np.arange(7) != EMPTY
    assert np.abs(expected - masses_in_torch(model, made)[:, 1])[others].max() < 0.05 and expected.std() > 1
    assert np.isfinite(expected).all()
    padded = np.pad(hits, ((0, 0), (0, 9), (0, 0)))
    mixed = padded[:, np.random.default_rng(1).permutation(padded.shape[1])]
    for changed in (padded, mixed):
        assert np.abs(session.run(["mass"], {"hits": changed, "position": position})[0] - expected).max() < 0.01
    nothing = np.zeros((1, 1, 4), np.float32)
    alone = session.run(["mass"], {"hits": nothing, "position": position[EMPTY : EMPTY + 1]})[0]
    assert np.abs(alone - expected[EMPTY]).max() < 0.01
    image = session_of(make_graph(Dense(model), {}), 1)
    assert np.abs(image.run(["mass"], inputs_of(raw, ["image", "ieta", "iphi"]))[0] - expected).max() < 0.01


def test_a_network_without_positions_asks_for_none(tmp_path):
    trained = prepare(tmp_path, "kinematics", (), position=False)
    dense, sparse, *_ = export_to(tmp_path / "export", trained)
    for path, names in ((dense, ["image"]), (sparse, ["hits"])):
        session = session_of(path.read_bytes(), 1)
        assert [each.name for each in session.get_inputs()] == names
        assert [each.name for each in session.get_outputs()] == ["mass"]


def test_the_metadata_say_what_a_user_has_to_know(small, tmp_path):
    metrics = tmp_path / "metrics.json"
    network = {"mae": {"value": 21.0, "low": 20.5, "high": 21.5}}
    region = {"by": "all", "jets": 9, "scores": {"network": network}}
    metrics.write_text(json.dumps({"regions": [region], "bootstrap": {"level": 0.68}}))
    dense, *_ = export_to(tmp_path / "export", small, metrics)
    about = onnxruntime.InferenceSession(dense).get_modelmeta().custom_metadata_map
    layers = json.loads(about["layers"])
    assert [(each["name"], each["unit"], each["cell"]) for each in layers] == [each[:3] for each in LAYERS]
    assert json.loads(about["scores"]) == {"jets": 9, "level": 0.68, "metrics": network}
    assert (
        json.loads(about["window"])["side"] == SIDE and about["licence"] == "MIT" and "toy detector" in about["not_for"]
    )


def test_the_example_of_the_documentation_runs(small, tmp_path, monkeypatch):
    export_to(tmp_path, small)
    monkeypatch.chdir(tmp_path)
    example = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs/onnx.md").read_text(), re.DOTALL)[1]
    found = {}
    exec(example, found)
    assert found["mass"].shape == (2,) and np.isfinite(found["mass"]).all()


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("no model", r"model\.safetensors: not a model of topmass"),
        ("newer", r"model\.safetensors: a model of version 3, this code reads 2"),
        ("other statistics", r"statistics\.json: statistics \w+, the model was trained with \w+"),
        ("no test jet", r"no test jet in any table"),
        ("metrics", r"metrics\.json: not the scores of a network"),
        ("another mass", r"model\.onnx: jet \d+ \(event \d+\), 1 at once: .* GeV from torch, allowed are -1"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_no_file(what, line, small, tmp_path, monkeypatch):
    metrics = None
    if what == "no model":
        small.model.write_bytes(b"\0" * 100)
    elif what == "newer":
        weights, about = read_tensors(small.model)
        small.model.write_bytes(to_bytes(weights, about.replace('"version": 2', '"version": 3')))
    elif what == "other statistics":
        measure(small.tables, small.statistics, "made_up", SPLIT, [layer.name for layer in LAYERS], {}, 0.9, UNBIAS)
    elif what == "no test jet":
        write_jets(small.tables[0], [], LAYERS, {})
    elif what == "metrics":
        metrics = tmp_path / "metrics.json"
        metrics.write_text("{}")
    else:
        monkeypatch.setattr(parity, "TOLERANCE", -1)
    with pytest.raises(BadInput, match=line) as error:
        export_to(tmp_path / "export", small, metrics)
    assert "\n" not in str(error.value) and not (tmp_path / "export").exists()


class Angles(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, y = x.double(), y.double()
        return torch.atan2(y, x), torch.hypot(x, y), torch.atanh(x / 4), torch.sinh(x), torch.cosh(x)


def test_values_are_rounded_as_in_shards(small):
    """But for ten in a million: a number in the middle of two may go either way by the last digit of a logarithm."""
    value = np.exp(np.random.default_rng(1).uniform(np.log(1e-5), 0, 1_000_000)).astype("f4")
    signature = Sparse(Model.load(small.model))
    compression = signature.model.shards.compression
    expected, _ = scale_values(value, np.ones_like(value), 1e-5, compression)
    found = signature.compress(torch.from_numpy(value)).numpy()
    assert compression == "log" and np.mean(found != expected.astype("f2")) < 2e-5


def test_what_onnx_lacks_is_made_in_double_precision(tmp_path):
    numbers = torch.tensor([-3.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 3.0])
    x, y = (each.flatten() for each in torch.meshgrid(numbers, numbers, indexing="ij"))
    path = tmp_path / "angles.onnx"
    with operations():
        torch.onnx.export(Angles(), (x, y), path, dynamo=False, opset_version=OPSET, input_names=["x", "y"])
    found = session_of(path.read_bytes(), 1).run(None, {"x": x.numpy(), "y": y.numpy()})
    for ours, theirs in zip(found, Angles()(x, y), strict=True):
        assert np.abs(ours - theirs.numpy()).max() < 1e-12


def test_the_benchmark_of_inference_has_a_row_for_each_way(tmp_path):
    table = benchmark_inference(3, 1, [1, 2], ["kinematics"], tmp_path)
    rows = pd.read_csv(tmp_path / "inference.csv")
    assert len(rows) == 6 and (rows[["jets_per_second", "milliseconds_of_one_jet"]] > 0).all(axis=None)
    assert table.count("| kinematics |") == 6 and (tmp_path / "inference.md").read_text() == table
