"""The program of docs/cpp: the masses of Python's onnxruntime to the printed digit, and what it refuses."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import REPOSITORY, make_jets
from onnxruntime_headers import find_headers
from topmass.export.export_metadata import model_metadata
from topmass.export.onnx_model import build_onnx_model
from topmass.export.wrappers import SparseWrapper
from topmass.jets import write_jets
from topmass.layers import LAYERS
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import ShardMeta

HOME = REPOSITORY / "docs/cpp"
TAKEN = ("hcal", "track_pt")
"""Layers of the model, neither all nor in the order of the table."""
JETS = 300
"""More than the program takes at a time."""
pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The compiled program, with the library that Python has."""
    headers = find_headers()
    for needed in ("cmake", "c++"):
        if not shutil.which(needed):
            pytest.skip(f"no {needed} on this machine")
    folder = tmp_path_factory.mktemp("build")
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(library)
    given = [f"-DONNXRUNTIME_INCLUDE={headers}", f"-DONNXRUNTIME_LIBRARY={folder / 'libonnxruntime.so'}"]
    for command in (["cmake", "-S", HOME, "-B", folder, *given], ["cmake", "--build", folder]):
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert ended.returncode == 0 and "warning:" not in ended.stdout, ended.stdout
    return folder / "masses"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A graph that each number of a hit, and the position, tells in."""
    return write_model(tmp_path_factory.mktemp("model") / "model_sparse.onnx", ["hits", "position"])


def write_model(path: Path, inputs: list[str]) -> Path:
    """The sum of value × (1 + row + 3 column + 7 layer) over the hits of a jet, 100 ieta and iphi; its quantiles."""
    shapes = {"hits": ["N", "H", 4], "position": ["N", 2]}
    constants = {"place": [[1], [3], [7], [0]], "pick": [[0], [0], [0], [1]], "where": [[100], [1]]}
    constants |= {"one": [1], "spread": [[0.9, 1, 1.1]]}
    nodes = [
        helper.make_node("MatMul", ["hits", "place"], ["at"]),
        helper.make_node("Add", ["at", "one"], ["factor"]),
        helper.make_node("MatMul", ["hits", "pick"], ["value"]),
        helper.make_node("Mul", ["factor", "value"], ["each"]),
        helper.make_node("ReduceSum", ["each", "hits_axis"], ["of_hits"], keepdims=0),
    ]
    if "position" in inputs:
        nodes += [
            helper.make_node("MatMul", ["position", "where"], ["of_position"]),
            helper.make_node("Add", ["of_hits", "of_position"], ["sum"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["of_hits"], ["sum"]))
    nodes += [
        helper.make_node("Squeeze", ["sum", "last"], ["mass"]),
        helper.make_node("MatMul", ["sum", "spread"], ["quantiles"]),
    ]
    initial = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()]
    initial += [numpy_helper.from_array(np.array([1]), name) for name in ("hits_axis", "last")]
    graph = helper.make_graph(
        nodes,
        "made up",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in inputs],
        [
            helper.make_tensor_value_info("mass", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("quantiles", TensorProto.FLOAT, ["N", 3]),
        ],
        initial,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    cells = {layer.name: layer.cell for layer in LAYERS}
    about = [{"name": name, "cell": cells[name]} for name in TAKEN]
    helper.set_model_props(made, {"layers": json.dumps(about)})
    onnx.checker.check_model(made)
    onnx.save(made, path)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("jets") / "jets.parquet"
    write_jets(path, [make_jets(JETS)], LAYERS, {})
    return path


def convert(model: Path, table: Path, out: Path) -> subprocess.CompletedProcess:
    """Call write_jets.py as README.md says."""
    command = [sys.executable, HOME / "write_jets.py", model, table, out]
    return subprocess.run(command, capture_output=True, text=True)


def masses(program: Path, *words: Path) -> subprocess.CompletedProcess:
    return subprocess.run([program, *words], capture_output=True, text=True)


def by_python(model: Path) -> list[str]:
    """What the program prints for the jets of `table`, in batches of the same size."""
    jets = make_jets(JETS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options)
    lines = []
    for start in range(0, JETS, 256):
        hits = [hits_of(jets, jet) for jet in range(start, min(start + 256, JETS))]
        padded = np.zeros((len(hits), max(map(len, hits)), 4), np.float32)
        for row, each in zip(padded, hits, strict=True):
            row[: len(each)] = each
        here = slice(start, start + len(hits))
        given = {"hits": padded, "position": np.stack([jets.ieta, jets.iphi], axis=1)[here].astype("f4")}
        asked = {each.name for each in session.get_inputs()}
        mass, quantiles = session.run(["mass", "quantiles"], {name: given[name] for name in asked})
        lines += [" ".join(f"{number:.3f}" for number in (m, *q)) for m, q in zip(mass, quantiles, strict=True)]
    return lines


def hits_of(jets, jet: int) -> list[list[float]]:
    """The hits of one jet, value by value."""
    found = []
    for i in range(jets.offset[jet], jets.offset[jet + 1]):
        layer = LAYERS[jets.layer[i]]
        if layer.name in TAKEN:
            row, column = divmod(int(jets.pixel[i]), 125 // layer.cell)
            found.append([row, column, TAKEN.index(layer.name), jets.value[i]])
    return found


def test_an_exported_network_is_the_same_in_cpp(program, table, tmp_path):
    shards = ShardMeta(TAKEN, (5, 1), (1.0, 1.0), 1e-5, "log", "made up")
    trained = TrainedModel.new({"name": "resnet15", "downsample": 8}, shards, (0.16, 0.5, 0.84))
    trained.save(tmp_path / "model.safetensors")
    model = tmp_path / "model_sparse.onnx"
    model.write_bytes(
        build_onnx_model(SparseWrapper(trained), model_metadata(trained, tmp_path / "model.safetensors", None))
    )
    assert convert(model, table, tmp_path / "jets.bin").returncode == 0
    ended = masses(program, model, tmp_path / "jets.bin")
    assert ended.stdout.splitlines() == by_python(model)


@pytest.mark.parametrize("inputs", [["hits", "position"], ["hits"]], ids=["position", "no position"])
def test_the_program_prints_what_python_finds(program, table, tmp_path, inputs):
    model = write_model(tmp_path / "model_sparse.onnx", inputs)
    assert convert(model, table, tmp_path / "jets.bin").returncode == 0
    ended = masses(program, model, tmp_path / "jets.bin")
    assert ended.returncode == 0 and ended.stderr == ""
    assert ended.stdout.splitlines() == by_python(model)


def test_a_jet_without_hits_is_a_jet(program, model, tmp_path):
    (tmp_path / "jets.bin").write_bytes(struct.pack("<iff", 0, 2, 7))
    assert masses(program, model, tmp_path / "jets.bin").stdout.split()[0] == "207.000"


JET = struct.pack("<iff4f", 1, 2, 7, 0, 0, 0, 1)
SPOILT = {
    "no jet": b"",
    "jet 1: the file ends within it": JET + JET[:-1],
    "jet 0: -1 hits": struct.pack("<iff", -1, 2, 7),
    "jet 1: a number that is not finite": JET + struct.pack("<iff4f", 1, 2, 7, 0, 0, 0, float("nan")),
}


@pytest.mark.parametrize("said", SPOILT)
def test_jets_that_cannot_be_used_are_named(program, model, tmp_path, said):
    jets = tmp_path / "jets.bin"
    jets.write_bytes(SPOILT[said])
    ended = masses(program, model, jets)
    assert ended.returncode == 1 and ended.stderr == f"masses: error: {jets}: {said}\n"


def test_what_is_no_model_is_said_in_one_line(program, table, tmp_path):
    (tmp_path / "jets.bin").write_bytes(JET)
    for model, said in ((table, "masses: error: "), (tmp_path / "none.onnx", "masses: error: ")):
        ended = masses(program, model, tmp_path / "jets.bin")
        assert ended.returncode == 1 and ended.stderr.startswith(said) and ended.stderr.count("\n") == 1
        assert model.name in ended.stderr


def test_a_table_that_lacks_a_layer_of_the_model_is_refused(model, tmp_path):
    jets = make_jets(2)
    jets.layer[:] = 0
    jets.pixel[:] %= 625
    write_jets(tmp_path / "jets.parquet", [jets], LAYERS[:1], {})
    ended = convert(model, tmp_path / "jets.parquet", tmp_path / "jets.bin")
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert ended.stderr.endswith(
        "layers (pixels per cell) track_pt (1), but the model requires hcal (5), track_pt (1)\n"
    )
    assert not (tmp_path / "jets.bin").exists()
