"""A user's own network, from the file to predictions; and what is refused, with file and line."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import REPOSITORY
from evaluate import evaluate
from export_onnx import export_onnx
from own_network import write_example
from predict_test import predict_test
from test_kinematics import made_up
from test_networks import batch_of
from topmass.commands.predict_jets import predict_jets
from topmass.config.config_sources import ConfigSource, parse
from topmass.config.configuration import configure
from topmass.evaluation.predictions import Predictions
from topmass.export.onnx_model import build_onnx_model
from topmass.export.wrappers import SparseWrapper
from topmass.features.hits import decode_hits
from topmass.features.particles import leading_particles
from topmass.features.towers import build_towers
from topmass.files import BadInput
from topmass.layers import LAYERS
from topmass.models.prongs import particle_p4
from topmass.models.safetensors_io import read_tensors, to_bytes
from topmass.models.trained_model import TrainedModel, build_network
from topmass.preprocessing.shards import Shard
from training_runs import COMPUTE, RECIPE, run

ECHO = """
import torch
from torch import nn


class Echo(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_outputs))

    def forward(self, {inputs}):
        {line}
"""


def own(folder: Path, inputs: str = "jet_features", line: str = "return self.weight * jet_features[:, :1]", **changes):
    """Write a small network whose `forward` has these inputs and this line; return its settings."""
    (folder / "echo.py").write_text(ECHO.format(inputs=inputs, line=line), encoding="utf-8")
    return {"name": "module", "file": str(folder / "echo.py"), "class": "Echo", **changes}


def test_the_example_trains_evaluates_and_predicts(dataset, tables, tmp_path):
    quantiles = [0.16, 0.5, 0.84]
    best, *_ = run(dataset, tmp_path / "run", network=write_example(tmp_path), recipe=RECIPE | {"quantiles": quantiles})
    assert (tmp_path / "run/network.py").read_bytes() == (tmp_path / "my_net.py").read_bytes()
    about = json.loads((tmp_path / "run/training.json").read_text())
    assert about["network"] == "DeepSets" and about["settings"]["file"] == "my_net.py"
    (tmp_path / "my_net.py").unlink()
    predict_test(best, dataset[1]["test"], tmp_path / "p.parquet", "cpu", "float32", 1)
    found = Predictions.load(tmp_path / "p.parquet")
    assert np.isfinite(found.predicted).all()
    assert (found.intervals.low <= found.predicted).all() and (found.predicted <= found.intervals.high).all()
    files = [tmp_path / name for name in ("metrics.json", "metrics.csv", "summary.txt")]
    bins, bootstrap = {"mass": [85, 300, 501], "pt": [400, 1000]}, {"resamples": 20, "level": 0.68, "seed": 1}
    evaluate(tmp_path / "p.parquet", {}, *files, "mine", 1, bins, 85, bootstrap)
    assert json.loads(files[0].read_text())["regions"]
    predict_jets(best, [str(tables[0])], tmp_path / "masses.parquet")
    assert (tmp_path / "masses.parquet").exists()


def test_the_example_is_exported(dataset, tables, tmp_path):
    quantiles = {"quantiles": [0.16, 0.5, 0.84]}
    best, *_ = run(dataset, tmp_path / "run", network=write_example(tmp_path), recipe=RECIPE | quantiles)
    paths = [tmp_path / name for name in ("model.onnx", "model_sparse.onnx", "parity.json", "preprocess.json")]
    export_onnx(best, tables, dataset[0], None, *paths, 1)
    assert all(path.exists() for path in paths)


def test_an_operation_without_onnx_is_named(tmp_path):
    network = own(tmp_path, line="return self.weight * torch.linalg.svdvals(jet_features[:, :4, None])")
    model = TrainedModel.new(network, made_up().meta)
    with pytest.raises(BadInput, match=r"no ONNX export: .*svd"):
        build_onnx_model(SparseWrapper(model), {})


def test_a_particle_has_the_columns_of_the_documentation(tmp_path):
    network = build_network(own(tmp_path, "particles, towers"), made_up().meta, 1)
    batch = batch_of(made_up())
    inputs = network.make_inputs(batch)
    assert inputs.keys() == {"particles", "towers"} and not network.needs_hits
    pt, eta, phi, energy, kind, d0, dz, mask = inputs["particles"].unbind(2)
    hits = decode_hits(batch, made_up().meta)
    expected = leading_particles(hits, build_towers(hits), 64)
    assert torch.equal(torch.stack([pt, eta, phi, kind, d0, dz], dim=1), expected)
    assert torch.equal(mask > 0, pt > 0) and ((mask == 0) | (mask == 1)).all()
    assert torch.allclose(energy, pt * eta.cosh()) and not energy[mask == 0].any()
    assert {*kind[mask > 0].unique().tolist()} <= {0, 1, 2}
    towers = inputs["towers"]
    assert towers.shape[1:] == (40, 11) and torch.equal(
        towers[..., 8] > 0, towers[..., 0] ** 2 + towers[..., 1] ** 2 > 0
    )


def test_images_and_hits_are_in_the_units_of_the_documentation(tmp_path):
    network = build_network(own(tmp_path, "image, hits"), made_up().meta, 1)
    batch = batch_of(made_up())
    inputs = network.make_inputs(batch)
    jets, layers = len(batch.length), len(made_up().meta.layers)
    assert network.needs_hits and network.num_features == 0
    assert inputs["image"].shape == (jets, layers, 125, 125) and inputs["image"].abs().max() <= 1
    hits = inputs["hits"]
    assert hits.value.dtype == torch.float32 and len(hits.value) == len(hits.jet) == len(batch.value)
    assert len(hits.window_eta) == jets and hits.layer.max() < len(LAYERS)


def test_another_content_is_another_training(dataset, tmp_path, said):
    network = write_example(tmp_path)
    first, again = (run(dataset, tmp_path / name, network=network)[0].read_bytes() for name in "ab")
    assert first == again
    network = network | {"file": shutil.move(network["file"], tmp_path / "other_folder.py")}
    file = Path(network["file"])
    file.write_text(file.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    assert run(dataset, tmp_path / "c", network=network)[0].read_bytes() != first


def test_a_model_does_not_execute_another_file_than_that_of_its_training(tmp_path):
    path = tmp_path / "model/model.safetensors"
    TrainedModel.new(own(tmp_path), made_up().meta).save(path)
    TrainedModel.load(path).save(tmp_path / "again/model.safetensors")
    assert (tmp_path / "again/model.safetensors").read_bytes() == path.read_bytes()
    weights, text = read_tensors(path)
    digest = json.loads(text)["network"]["sha256"]
    source = path.with_name("network.py")
    source.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"network\.py: not the file of the training \(SHA-256"):
        TrainedModel.load(path)
    path.write_bytes(to_bytes(weights, text.replace(f'"{digest}"', "null")))
    with pytest.raises(BadInput, match=r"network\.py: not the file of the training"):
        TrainedModel.load(path)
    source.unlink()
    with pytest.raises(BadInput, match=r"its network is in network\.py, which is not next to it"):
        TrainedModel.load(path)
    assert not (tmp_path / "executed").exists()


WRONG = {
    "an unknown input": ({"inputs": "jets"}, r"echo\.py, line 11: forward requires 'jets'; expected parameters named"),
    "no input": ({"inputs": "*, image=None", "line": "import"}, r"echo\.py, line 12: not Python: invalid syntax"),
    "no class": ({"class": "Net"}, r"echo\.py: no class 'Net'; its classes are Echo"),
    "an unknown setting": ({"settings": {"depth": 2}}, r"echo\.py: class Echo: TypeError: .*'depth'"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_an_unusable_file_is_refused(changes, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        build_network(own(tmp_path, **changes), made_up().meta, 1)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("import nothing_of_this_name\n", r"line 1: executing the file: ModuleNotFoundError: .*nothing_of_this_name"),
        ("1 / 0\n", "line 1: executing the file: ZeroDivisionError: division by zero"),
        ("\0", "not Python"),
    ],
)
def test_an_error_while_the_file_is_executed_has_its_line(before, message, tmp_path):
    network = own(tmp_path)
    file = Path(network["file"])
    file.write_text(before + file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(BadInput, match=message):
        build_network(network, made_up().meta, 1)


@pytest.mark.parametrize("base", ["object", "nn.Identity"])
def test_a_class_that_cannot_be_trained_is_refused(base, tmp_path):
    (tmp_path / "net.py").write_text(
        f"from torch import nn\nclass Net({base}):\n    def forward(self, image):\n        return image\n"
    )
    network = {"name": "module", "file": str(tmp_path / "net.py"), "class": "Net"}
    with pytest.raises(BadInput, match=r"net\.py: class Net: (not a torch\.nn\.Module|no parameter to train)"):
        build_network(network, made_up().meta, 1)


UNUSED = """
from torch import nn
from topmass.models.network import zero_init_head


class Partly(nn.Module):
    def __init__(self, n_outputs, shapes):
        super().__init__()
        self.unused, self.frozen, self.head = nn.Linear(16, 16), nn.Linear(16, 16), zero_init_head(64, n_outputs)
        self.frozen.requires_grad_(False)

    def forward(self, towers):
        return self.head(self.frozen(towers[:, :16, 3]).repeat(1, 4))
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_parameters_may_be_unused_or_frozen(processes, dataset, tmp_path):
    (tmp_path / "net.py").write_text(UNUSED, encoding="utf-8")
    network = {"name": "module", "file": str(tmp_path / "net.py"), "class": "Partly"}
    recipe, compute = RECIPE | {"optimizer": "muon", "weight_decay": 0.0}, COMPUTE | {"processes": processes}
    torch.manual_seed(1)
    before = build_network(network, Shard.load(dataset[1]["train"][0]).meta, 1).state_dict()
    _, last, _ = run(dataset, tmp_path / "run", network=network, recipe=recipe, compute=compute)
    after = TrainedModel.load(last).network.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {f"backbone.{part}.weight" for part in ("unused", "frozen")} <= same and "backbone.head.weight" not in same


IN_TRAINING = {
    "another shape": (
        "return self.weight * jet_features[:, :2]",
        r"echo\.py: forward returns shape \(32, 2\); expected \(jets, outputs\) = \(32, 1\)",
    ),
    "no tensor": ("return 1", r"echo\.py: forward returns type int; expected"),
    "NaN": (
        "return self.weight * (jet_features[:, :1] - torch.inf).log()",
        r"echo\.py: forward returns values that are not finite in the first batch",
    ),
    "an error": (
        "return self.weight @ jet_features",
        r"echo\.py, line 12: forward: RuntimeError: size mismatch|echo\.py, line 12: forward: RuntimeError: mat",
    ),
}


@pytest.mark.parametrize(("line", "message"), IN_TRAINING.values(), ids=IN_TRAINING)
def test_an_error_in_training_is_one_line(line, message, dataset, tmp_path):
    with pytest.raises(BadInput, match=message) as error:
        run(dataset, tmp_path, network=own(tmp_path, line=line))
    assert "\n" not in str(error.value) and not re.search(r"Traceback|topmass/", str(error.value))
    assert not list(tmp_path.glob("*.safetensors"))


CONFIGURATION = """
datasets: {{ tracks: {{ extends: flat, layers: [track_pt] }} }}
experiments:
  mine:
    extends: laptop
    dataset: {dataset}
    network:
      {{ name: module, file: {file}, class: Echo, settings: {{ width: 64, rate: 1e-3, act: gelu, on: [yes, null] }} }}
"""


def configured(folder: Path, dataset: str = "flat", **changes) -> dict:
    """Return the configuration of an experiment with a small network, changed as by `own`."""
    text = CONFIGURATION.format(dataset=dataset, file=own(folder, **changes)["file"])
    return configure([ConfigSource("mine.yaml", parse(text))])


def test_arguments_in_the_configuration_have_the_types_of_yaml(tmp_path, monkeypatch):
    monkeypatch.setenv("FOLDER", str(tmp_path))
    own(tmp_path)
    text = CONFIGURATION.format(dataset="flat", file="$FOLDER/echo.py")
    network = configure([ConfigSource("mine.yaml", parse(text))])["experiments"]["mine"]["network"]
    assert network.pop("settings") == {"width": 64, "rate": 1e-3, "act": "gelu", "on": [True, None]}
    expected = {"name": "module", "file": f"{tmp_path}/echo.py", "class": "Echo", "particles": 64, "towers": 40}
    assert network == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": "jets"}, r"echo\.py, line 11: forward requires 'jets'"),
        ({"line": "return ("}, r"echo\.py, line 12: not Python: '\(' was never closed"),
        ({"dataset": "tracks"}, r"Echo takes jet_features, which need ecal or hcal; the dataset 'tracks' has track_pt"),
    ],
)
def test_a_configuration_with_an_unusable_file_is_refused_before_the_first_job(changes, message, tmp_path):
    with pytest.raises(BadInput, match=r"mine\.yaml: experiments\.mine\.network(\.file)?: .*" + message):
        configured(tmp_path, **changes)
    assert configured(tmp_path, dataset="tracks", inputs="image", line="return image.sum((1, 2, 3))[:, None]")


def test_a_missing_file_is_named(tmp_path):
    text = CONFIGURATION.format(dataset="flat", file=tmp_path / "none.py")
    with pytest.raises(BadInput, match=r"mine\.yaml: experiments\.mine\.network\.file: .*none\.py: no such file"):
        configure([ConfigSource("mine.yaml", parse(text))])


def test_the_networks_of_the_study_on_real_top_quarks_differ_by_the_mass_of_the_particles():
    file = str(REPOSITORY / "studies/real_networks.py")
    batch, outputs = batch_of(made_up()), {}
    for name in ("Mass", "Ratio"):
        torch.manual_seed(1)
        network = build_network({"name": "module", "file": file, "class": name}, made_up().meta, 3).eval()
        torch.nn.init.normal_(network.backbone.body.head[-1].weight, std=0.01)
        outputs[name] = network(batch)
    p4 = particle_p4(leading_particles(hits := decode_hits(batch, made_up().meta), build_towers(hits), 64)).sum(1)
    mass = (p4[:, 3] ** 2 - p4[:, :3].square().sum(1)).clamp(min=20**2).sqrt()
    assert torch.allclose(outputs["Ratio"], outputs["Mass"] * (2 * mass / 500)[:, None], rtol=1e-2)
