"""Networks as ONNX: the same masses as in torch, from raw jets, whatever their number, order and padding."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from compute_statistics import compute_statistics
from conftest import FLATTEN, REPOSITORY, SPLIT, make_jets
from extra_packages import extra_packages
from make_shards import make_shards
from test_networks import SMALL, network_for
from topmass.commands.export_onnx import export_onnx
from topmass.export import parity
from topmass.export.export_inputs import find_test_jets, graph_inputs
from topmass.export.onnx_model import build_onnx_model
from topmass.export.parity import open_session, predict_in_torch
from topmass.export.symbolics import OPSET, register_symbolics
from topmass.export.wrappers import DenseWrapper, SparseWrapper
from topmass.files import BadInput
from topmass.jets import write_jets
from topmass.layers import LAYERS, SIDE
from topmass.models.safetensors_io import read_tensors, to_bytes
from topmass.models.trained_model import NETWORKS, TrainedModel
from topmass.preprocessing.scaling import normalize
from topmass.preprocessing.shards import Shard

QUANTILES = (0.16, 0.5, 0.84)
TRACKS = [number for number, layer in enumerate(LAYERS) if layer.name.startswith("track_")]
ALL = [*range(len(LAYERS))]
LACKING = [[], *([number] for number in ALL), TRACKS, [number for number in ALL if number not in TRACKS], ALL]
"""Layers without a hit, jet by jet; the last jet has no hit at all."""
OLDEST = "1.14"
RUNTIMES = {"1.14.1": "3.10", "1.20.1": None, "1.31.0": None}
"""onnxruntime: the oldest that the documents name, by a Python that it has wheels for, and two with faults of their
own: 1.20 fuses padding with mean pooling wrongly, 1.26 to 1.31 reduce empty tensors to wrong shapes."""


class Trained(NamedTuple):
    """The files that an export reads."""

    model: Path
    tables: list[Path]
    statistics: Path


class Exported(NamedTuple):
    """The files of an export, and those that it reads."""

    trained: Trained
    dense: Path
    sparse: Path
    parity: Path
    preprocess: Path


def prepare(
    folder: Path, name: str, quantiles: tuple[float, ...] = QUANTILES, position: bool = True, negative: float = 0.4
) -> Trained:
    """Return a network and 40 jets. Some values are suppressed, some are clipped, and some energies are negative."""
    batch = make_jets(40, values=160)
    cells = np.isin(batch.layer, [number for number, layer in enumerate(LAYERS) if layer.name in ("ecal", "hcal")])
    batch.value[cells & (np.random.default_rng(1).random(len(cells)) < negative)] *= -1
    if not position:
        batch = replace(batch, ieta=np.full(40, np.nan, "f4"), iphi=np.full(40, np.nan, "f4"))
    table, statistics = folder / "00000.parquet", folder / "statistics.json"
    write_jets(table, [batch], LAYERS, {}, position)
    compute_statistics([table], statistics, "made_up", SPLIT, [layer.name for layer in LAYERS], {}, 0.95, FLATTEN)
    shards = {split: folder / f"{split}.npz" for split in SPLIT}
    make_shards(table, statistics, shards, 0.02, "log")
    shard = Shard.load(shards["train"])
    network = network_for(SMALL[name], shard, len(quantiles) or 1)
    model = TrainedModel(network, SMALL[name], shard.meta, quantiles, 1.2)
    model.save(folder / "model.safetensors")
    return Trained(folder / "model.safetensors", [table], statistics)


def jets_that_lack_layers(trained: Trained, model: TrainedModel) -> tuple[Shard, Shard]:
    """Return a test jet for each of LACKING: raw, and preprocessed."""
    shards = []
    for shard in find_test_jets(trained.tables, trained.statistics, model.shards, 7):
        jets = shard.take(np.arange(len(LACKING)) % len(shard))
        jet = np.repeat(np.arange(len(jets)), np.diff(jets.offset))
        lacking = np.array([np.isin(ALL, layers) for layers in LACKING])
        hits = np.flatnonzero(~lacking[jet, jets.arrays["layer"]])
        arrays = jets.arrays | {name: jets.arrays[name][hits] for name in ("pixel", "layer", "value")}
        shards.append(Shard(np.searchsorted(hits, jets.offset), arrays, jets.meta))
    return tuple(shards)


def export_to(folder: Path, trained: Trained, metrics: Path | None = None) -> Exported:
    paths = [folder / name for name in ("model.onnx", "model_sparse.onnx", "parity.json", "preprocess.json")]
    export_onnx(*trained, metrics, *paths, 1)
    return Exported(trained, *paths)


SCORES = {"mae": {"value": 21.0, "low": 20.5, "high": 21.5}}


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request, tmp_path_factory) -> Exported:
    folder = tmp_path_factory.mktemp(request.param)
    region = {"by": "all", "jets": 9, "scores": {"network": SCORES}}
    (folder / "metrics.json").write_text(json.dumps({"regions": [region], "bootstrap": {"level": 0.68}}))
    return export_to(folder / "export", prepare(folder, request.param), folder / "metrics.json")


@pytest.fixture
def small(tmp_path) -> Trained:
    return prepare(tmp_path, "resnet15", ())


def test_both_models_predict_the_same_masses_as_torch(exported):
    comparison = json.loads(exported.parity.read_text())
    assert set(comparison["largest_difference"]) == {"model.onnx", "model_sparse.onnx"}
    for differences in comparison["largest_difference"].values():
        assert set(differences) == {"1", "2", "7", "256"}
        assert max(differences.values()) <= comparison["tolerance"] == 0.05
    for path, names in ((exported.dense, ["image", "ieta", "iphi"]), (exported.sparse, ["hits", "position"])):
        graph = onnx.load(path)
        onnx.checker.check_model(graph, full_check=True)
        # What onnxruntime 1.14 reads, without that which it has, alone or fused, for float32 only.
        assert graph.opset_import[0].version == OPSET == 17 and graph.ir_version <= 8
        values = onnx.shape_inference.infer_shapes(graph).graph.value_info
        double = {each.name for each in values if each.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE}
        assert not [each for each in graph.graph.node if each.op_type in ("Cos", "MatMul") and double & {*each.input}]
        session = open_session(path.read_bytes(), 1)
        assert [each.name for each in session.get_inputs()] == names
        assert [each.name for each in session.get_outputs()] == ["mass", "quantiles"]
        for each in (*session.get_inputs(), *session.get_outputs()):
            assert each.type == "tensor(float)" and each.shape[0] == "jets" and "-" not in each.name
    assert json.loads(exported.preprocess.read_text())["hits"]["var_names"] == ["row", "column", "layer", "value"]


def test_neither_order_nor_padding_nor_other_jets_change_a_mass(exported):
    model = TrainedModel.load(exported.trained.model)
    raw, preprocessed = jets_that_lack_layers(exported.trained, model)
    session = open_session(exported.sparse.read_bytes(), 1)
    inputs = graph_inputs(raw, ["hits", "position"])
    hits, position = inputs["hits"], inputs["position"]
    expected = session.run(["mass"], inputs)[0]
    assert np.abs(expected - predict_in_torch(model, preprocessed)[:, 1]).max() < 0.05 and expected.std() > 1
    padded = np.pad(hits, ((0, 0), (0, 9), (0, 0)))
    mixed = padded[:, np.random.default_rng(1).permutation(padded.shape[1])]
    for changed in (padded, mixed):
        assert np.abs(session.run(["mass"], {"hits": changed, "position": position})[0] - expected).max() < 0.01
    nothing = np.zeros((1, 1, 4), np.float32)
    alone = session.run(["mass"], {"hits": nothing, "position": position[-1:]})[0]
    assert np.abs(alone - expected[-1]).max() < 0.01
    image = open_session(exported.dense.read_bytes(), 1)
    assert np.abs(image.run(["mass"], graph_inputs(raw, ["image", "ieta", "iphi"]))[0] - expected).max() < 0.01


@pytest.fixture(scope="module")
def graphs(tmp_path_factory) -> tuple[Path, dict[str, np.ndarray]]:
    """A folder with both models of every network and their inputs; and the predictions of torch by model."""
    folder, expected = tmp_path_factory.mktemp("exported"), {}
    for number, name in enumerate(SMALL):
        trained = prepare(tmp_path_factory.mktemp("trained"), name, negative=0)
        model = TrainedModel.load(trained.model)
        raw, preprocessed = jets_that_lack_layers(trained, model)
        for kind, wrapper in (("dense", DenseWrapper(model)), ("sparse", SparseWrapper(model))):
            graph = folder / f"{number}-{kind}.onnx"
            graph.write_bytes(build_onnx_model(wrapper, {}))
            np.savez(graph.with_suffix(".npz"), **graph_inputs(raw, wrapper.inputs))
            expected[graph.stem] = predict_in_torch(model, preprocessed)
    return folder, expected


def python_of(version: str) -> str:
    """An interpreter of this version, in PATH or of pyenv; skips without any."""
    names = [f"python{version}", *(Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python")]
    for path in filter(None, map(shutil.which, names)):
        if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    pytest.skip(f"no Python {version} on this machine")


@pytest.mark.lab
@pytest.mark.parametrize("version", RUNTIMES)
def test_other_versions_of_onnxruntime_find_the_same_masses(version, graphs, tmp_path):
    folder, expected = graphs
    wheels, python = [f"onnxruntime=={version}"], sys.executable
    if of_python := RUNTIMES[version]:
        python = python_of(of_python)
        wheels += ["numpy<2", f"--python-version={of_python}", "--only-binary=:all:"]
    packages = extra_packages(f"onnxruntime-{version}", *wheels)
    command = [python, REPOSITORY / "tests/run_graphs.py", folder, tmp_path]
    ended = subprocess.run(command, env={"PYTHONPATH": str(packages)}, capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stdout.strip() == version, ended.stderr
    for name, masses in expected.items():
        for how in ("together", "alone"):
            assert np.abs(np.load(tmp_path / f"{name}-{how}.npy") - masses).max() < 0.05, (name, how)


def test_the_documents_name_the_oldest_onnxruntime_that_is_tried():
    assert min(RUNTIMES).startswith(f"{OLDEST}.")
    pages = ("docs/onnx.md", "docs/cpp/README.md", "docs/troubleshooting.md", "workflow/report/model_card.md.jinja")
    for page in pages:
        named = re.findall(r"(?:onnxruntime|ONNX Runtime) (\d+\.\d+) or later", (REPOSITORY / page).read_text())
        assert named and {*named} == {OLDEST}, page


def test_a_network_without_positions_asks_for_none(tmp_path):
    trained = prepare(tmp_path, "kinematics", (), position=False)
    exported = export_to(tmp_path / "export", trained)
    for path, names in ((exported.dense, ["image"]), (exported.sparse, ["hits"])):
        session = open_session(path.read_bytes(), 1)
        assert [each.name for each in session.get_inputs()] == names
        assert [each.name for each in session.get_outputs()] == ["mass"]


@pytest.mark.parametrize("exported", ["resnet15"], indirect=True)
def test_the_metadata_describe_inputs_and_scores(exported):
    metadata = onnxruntime.InferenceSession(exported.dense).get_modelmeta().custom_metadata_map
    layers = json.loads(metadata["layers"])
    assert [(layer["name"], layer["unit"], layer["cell"]) for layer in layers] == [layer[:3] for layer in LAYERS]
    assert json.loads(metadata["scores"]) == {"jets": 9, "level": 0.68, "metrics": SCORES}
    assert json.loads(metadata["window"])["side"] == SIDE
    assert metadata["licence"] == "MIT" and "toy detector" in metadata["not_for"]


@pytest.mark.parametrize("exported", ["resnet15"], indirect=True)
def test_the_example_of_the_documentation_runs(exported, monkeypatch):
    monkeypatch.chdir(exported.sparse.parent)
    example = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs/onnx.md").read_text(), re.DOTALL)[1]
    variables = {}
    exec(example, variables)
    assert variables["mass"].shape == (2,) and np.isfinite(variables["mass"]).all()


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("no model", r"model\.safetensors: not a model of topmass"),
        ("newer", r"model\.safetensors: a model of version 5, this code reads 4"),
        ("other statistics", r"statistics\.json: statistics \w+, the model was trained with \w+"),
        ("no test jet", r"no test jet in any table"),
        ("metrics", r"metrics\.json: not the scores of a network"),
        ("another mass", r"model\.onnx: jet \d+ \(event \d+\) in batches of 1: .* GeV from torch, allowed are -1"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_no_file(what, line, small, tmp_path, monkeypatch):
    metrics = None
    if what == "no model":
        small.model.write_bytes(b"\0" * 100)
    elif what == "newer":
        weights, about = read_tensors(small.model)
        small.model.write_bytes(to_bytes(weights, about.replace('"version": 4', '"version": 5')))
    elif what == "other statistics":
        compute_statistics(
            small.tables, small.statistics, "made_up", SPLIT, [layer.name for layer in LAYERS], {}, 0.9, FLATTEN
        )
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
        angles = torch.atan2(y, x), torch.atanh(x / 4), torch.cos(x), torch.sinh(x), torch.cosh(x)
        return *angles, torch.hypot(x, y), torch.stack([x, y]) @ torch.stack([x, y]).mT


@pytest.mark.parametrize(("compression", "different"), [("none", 0), ("log", 2e-5)])
def test_values_are_rounded_as_in_shards(compression, different, small):
    """Except ten in a million with logarithms: the last digit of one may decide between two neighbours."""
    value = np.exp(np.random.default_rng(1).uniform(np.log(1e-5), 0, 1_000_000)).astype("f4")
    model = TrainedModel.load(small.model)
    model = replace(model, shards=replace(model.shards, compression=compression))
    expected, _ = normalize(value, np.ones_like(value), 1e-5, compression)
    found = SparseWrapper(model).compress(torch.from_numpy(value)).numpy()
    assert np.mean(found != expected.astype("f2")) <= different


def test_what_onnx_lacks_is_made_in_double_precision(tmp_path):
    numbers = torch.tensor([-3.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 3.0])
    x, y = (each.flatten() for each in torch.meshgrid(numbers, numbers, indexing="ij"))
    path = tmp_path / "angles.onnx"
    with register_symbolics():
        torch.onnx.export(Angles(), (x, y), path, dynamo=False, opset_version=OPSET, input_names=["x", "y"])
    found = open_session(path.read_bytes(), 1).run(None, {"x": x.numpy(), "y": y.numpy()})
    for ours, theirs in zip(found, Angles()(x, y), strict=True):
        assert np.abs(ours - theirs.numpy()).max() < 1e-12
