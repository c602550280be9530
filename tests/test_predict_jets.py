"""Somebody's jets, with or without masses, through a trained network: `predict_jets`."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from conftest import REPOSITORY, make_jets
from predict import predict
from predict_jets import predict_jets
from test_sparsify import THREE, only
from topmass.files import BadInput
from topmass.jets import JetTable, join, write_jets
from topmass.layers import LAYERS
from topmass.learning.handover.graph import make_graph
from topmass.learning.handover.parity import TOLERANCE, session_of
from topmass.learning.handover.signatures import Dense
from topmass.learning.networks.model import Model
from topmass.preprocessing.conversion import Conversion
from topmass.preprocessing.shards import ShardMeta
from topmass.sources.dense import to_dense
from topmass.sources.dense_file import nested, write_dense

NAMES = [layer.name for layer in THREE]
VINTAGE = {"image": "X_jets", "pt": "pt", "ieta": "ieta", "iphi": "iphi"}
"""Columns of another vintage, without a mass."""
META = ShardMeta(
    layers=("hcal", "ecal", "track_pt"), cells=(5, 1, 1), scales=(3.0, 4.0, 5.0),
    zero_suppression=1e-5, compression="log", statistics="none",
)  # fmt: skip
"""Layers in another order than in the files."""
KINEMATICS = {"name": "kinematics", "width": 8, "depth": 1}


def save_model(path: Path, meta: ShardMeta = META, quantiles: tuple = (), network: dict = KINEMATICS) -> Path:
    model = Model.new(network, meta, quantiles)
    model.widening = 1.5
    # Fresh heads say the same of all jets.
    torch.manual_seed(1)
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.save(path)
    return path


@pytest.fixture
def model(tmp_path) -> Path:
    return save_model(tmp_path / "model.safetensors")


@pytest.fixture
def dense(tmp_path) -> Path:
    """A dense file of 20 jets: three layers, float32, other names, no mass."""
    write_dense(tmp_path / "dense.parquet", only(make_jets(20), THREE), THREE, "f4", row_group=7, columns=VINTAGE)
    return tmp_path / "dense.parquet"


def told(model: Path, jets, out: Path, **more) -> pa.Table:
    predict_jets(model, [str(each) for each in jets], out, **({"layers": NAMES, "device": "cpu"} | more))
    return pq.read_table(out)


def by_way_of_shards(model: Path, jets, folder: Path) -> pa.Table:
    """What `predict` makes of the same jets in a shard."""
    jets = jets.take(np.arange(len(jets)))
    shard = Conversion(folder, LAYERS, Model.load(model).shards).to_shard(
        jets, np.arange(len(jets)), np.ones(len(jets))
    )
    shard.save(folder / "shard.npz")
    predict(model, [folder / "shard.npz"], folder / "by_shards.parquet", "cpu", "float32", 1)
    return pq.read_table(folder / "by_shards.parquet")


@pytest.mark.parametrize("quantiles", [(), (0.16, 0.5, 0.84)], ids=["mass", "quantiles"])
def test_a_file_of_another_vintage_gives_the_masses_that_its_jets_have_in_shards(quantiles, dense, tmp_path):
    model = save_model(tmp_path / "model.safetensors", quantiles=quantiles)
    found = told(model, [dense], tmp_path / "out.parquet", precision="float32")
    wanted = by_way_of_shards(model, make_jets(20), tmp_path)
    names = ["predicted", *(["low", "high"] if quantiles else [])]
    for name in names:
        assert np.allclose(found[name], wanted[name], rtol=1e-5) and found[name].type == pa.float32()
    assert found.column_names == ["pt", "ieta", "iphi", *names]
    assert found["pt"].equals(pq.read_table(dense)["pt"])
    assert (found.schema.metadata or {}).get(b"quantiles") == (wanted.schema.metadata or {}).get(b"quantiles")


@pytest.mark.parametrize("network", [KINEMATICS, {"name": "resnet15", "pool": 8}], ids=lambda network: network["name"])
def test_the_exported_graph_gives_them_the_same_masses(network, dense, tmp_path):
    """It takes the pixels of the file as they are, layers in the order of the model."""
    model = save_model(tmp_path / "model.safetensors", network=network)
    found = told(model, [dense], tmp_path / "out.parquet", precision="float32")["predicted"].to_numpy()
    file = pq.read_table(dense)
    images = np.array(file["X_jets"].to_pylist(), "f4").reshape(20, 3, 125, 125)
    order = [NAMES.index(name) for name in META.layers]
    given = {name: file[name].to_numpy().astype("f4") for name in ("ieta", "iphi")}
    session = session_of(make_graph(Dense(Model.load(model)), {}), 1)
    (masses,) = session.run(["mass"], {"image": images[:, order], **given})
    assert np.ptp(found) > 1 and np.abs(masses - found).max() < TOLERANCE


def test_a_convolutional_network_takes_them_as_well(dense, tmp_path):
    model = save_model(tmp_path / "model.safetensors", network={"name": "resnet15", "pool": 8})
    found = told(model, [dense], tmp_path / "out.parquet", precision="float32")
    assert np.allclose(found["predicted"], by_way_of_shards(model, make_jets(20), tmp_path)["predicted"], rtol=1e-4)


def test_dense_jets_and_jet_tables_give_the_same_and_keep_all_columns_in_their_order(model, dense, tmp_path):
    jets = make_jets(20)
    jets.mass[:] = np.nan
    write_jets(tmp_path / "table.parquet", [jets], LAYERS, {})
    found = told(model, [tmp_path / "table.parquet"], tmp_path / "a.parquet", layers=[])
    assert np.allclose(found["predicted"], told(model, [dense], tmp_path / "b.parquet")["predicted"], rtol=1e-5)
    assert found["mass"].null_count == 20 and np.array_equal(found["event"], jets.event)


def test_columns_of_any_type_come_back_and_lists_do_not(model, dense, tmp_path):
    beside = {"run": pa.array([f"run {i}" for i in range(20)]), "good": pa.array([None, True] * 10)}
    beside["kind"] = beside["run"].dictionary_encode()
    table = pq.read_table(dense).append_column("tracks", pa.array([[1.0]] * 20))
    for name, column in {**beside, "m": pa.nulls(20), "am": pa.nulls(20, pa.float64())}.items():
        table = table.append_column(name, column)
    pq.write_table(table, dense, row_group_size=7)
    found = told(model, [dense], tmp_path / "out.parquet")
    assert found.column_names == ["pt", "ieta", "iphi", "run", "good", "kind", "m", "am", "predicted"]
    assert all(found[name].to_pylist() == column.to_pylist() for name, column in beside.items())


def test_a_model_that_knows_no_position_asks_for_none(dense, tmp_path):
    model = save_model(tmp_path / "model.safetensors", replace(META, position=False))
    with_position = told(model, [dense], tmp_path / "out.parquet")
    pq.write_table(pq.read_table(dense).select(["X_jets"]), dense)
    found = told(model, [dense], tmp_path / "out.parquet")
    assert found.column_names == ["predicted"] and found["predicted"].equals(with_position["predicted"])


def test_batches_and_files_and_folders_are_the_jets_one_after_the_other(model, tmp_path, monkeypatch):
    monkeypatch.setattr("topmass.sources.parquet.ROW_GROUP", 6)
    files = [tmp_path / "jets" / f"{i}.parquet" for i in range(3)]
    for i, file in enumerate(files):
        write_dense(file, only(make_jets(9 + i, i), THREE), THREE, columns=VINTAGE)
    whole = told(model, [tmp_path / "jets"], tmp_path / "out.parquet")
    assert len(whole) == 30 and whole.equals(told(model, files, tmp_path / "again.parquet"))
    assert not (tmp_path / ".out.parquet.parts").exists()
    assert len(pq.ParquetFile(tmp_path / "out.parquet").schema_arrow.names) == 4


def test_a_run_that_was_killed_goes_on_with_the_file_that_it_was_at(model, tmp_path, monkeypatch, said):
    files = [tmp_path / f"{i}.parquet" for i in range(3)]
    for i, file in enumerate(files):
        write_dense(file, only(make_jets(5, i), THREE), THREE, columns=VINTAGE)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("predict_jets.tqdm", stop_at("2"))
        told(model, files, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    write_dense(files[0], only(make_jets(5, 9), THREE), THREE, columns=VINTAGE)
    found = told(model, files, tmp_path / "out.parquet")
    assert "0.parquet: predicted before" not in said() and "1.parquet: predicted before" in said()
    assert found.equals(told(model, files, tmp_path / "at_once.parquet"))


def stop_at(name: str):
    """A progress bar at which the run is killed."""
    from tqdm import tqdm

    def bar(*args, desc: str, **settings):
        if desc == name:
            raise KeyboardInterrupt
        return tqdm(*args, desc=desc, **settings)

    return bar


def test_jets_that_are_not_like_those_of_the_training_are_counted(model, tmp_path, said):
    jets = only(make_jets(20), THREE)
    for jet in (3, 8):
        here = np.arange(jets.offset[jet], jets.offset[jet + 1])
        jets.value[here[jets.layer[here] == NAMES.index("ecal")]] = 4000.0
    write_dense(tmp_path / "dense.parquet", jets, THREE, columns=VINTAGE)
    told(model, [tmp_path / "dense.parquet"], tmp_path / "out.parquet")
    assert "2 of 20 jets have a value of ecal beyond 10 × 4" in said()


def change(table: pa.Table, name: str, column) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def with_nan(table: pa.Table) -> pa.Table:
    images = to_dense(only(make_jets(20), THREE), THREE)
    images[13, 1, 60, 60] = np.nan
    return change(table, "X_jets", nested(images))


BAD = {
    "no image": (lambda t: t.drop_columns("X_jets"), "neither dense images nor lists of values"),
    "images of another side": (
        lambda t: change(t, "X_jets", nested(np.ones((len(t), 3, 64, 64)))),
        "row 0: images are 3 × 64 × 64 instead of 3 × 125 × 125",
    ),
    "a NaN pixel": (with_nan, r"row 13: value in layer '\w+' is not finite"),
    "no jet": (lambda t: t.slice(0, 0), "no jet in this file"),
    "no position": (lambda t: t.drop_columns("ieta"), "no column 'ieta', and the model asks for it"),
    "a column of ours": (
        lambda t: t.append_column("predicted", t["pt"]),
        "it has a column 'predicted', which is what the prediction is called: rename it",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_jets_that_cannot_be_predicted_are_refused_and_nothing_is_written(spoil, message, model, dense, tmp_path):
    pq.write_table(spoil(pq.read_table(dense)), dense)
    with pytest.raises(BadInput, match=rf"dense\.parquet: {message}") as error:
        told(model, [dense], tmp_path / "out.parquet")
    assert "\n" not in str(error.value) and not (tmp_path / "out.parquet").exists()


def test_towers_of_which_the_pixels_differ_are_refused_with_their_row(model, tmp_path):
    jets = only(make_jets(4), THREE)
    images = to_dense(jets, THREE)
    images[2, NAMES.index("hcal"), 0, 0] = 77
    write_dense(tmp_path / "dense.parquet", jets, THREE, columns=VINTAGE, images=images)
    with pytest.raises(BadInput, match=r"row 0 or a later one: hcal is not uniform in its cells"):
        told(model, [tmp_path / "dense.parquet"], tmp_path / "out.parquet")


WRONG_LAYERS = {
    "none": ([], "it does not say what its layers are"),
    "unknown": (["track_pt", "muon", "hcal"], "no layer 'muon' is known under 'layers'; there are track_pt, "),
    "twice": (["ecal", "hcal", "ecal"], "the layer 'ecal' comes twice"),
    "one too few": (["track_pt", "ecal"], "no layer 'hcal'; it has track_pt, ecal; wanted are hcal, ecal, track_pt"),
    "too many": ([*NAMES, "bpix1"], "row 0: images are 3 × 125 × 125 instead of 4 × 125 × 125"),
}


@pytest.mark.parametrize(("layers", "message"), WRONG_LAYERS.values(), ids=WRONG_LAYERS)
def test_layers_that_cannot_be_meant(layers, message, model, dense, tmp_path):
    with pytest.raises(BadInput, match=rf"dense\.parquet: {message}"):
        told(model, [dense], tmp_path / "out.parquet", layers=layers)


def test_an_order_of_layers_that_contradicts_the_file(model, tmp_path):
    write_jets(tmp_path / "table.parquet", [make_jets(3)], LAYERS, {})
    order = [layer.name for layer in reversed(LAYERS)]
    with pytest.raises(BadInput, match=r"its layers are track_pt, .*bpix3, and 'layers' says bpix3, "):
        told(model, [tmp_path / "table.parquet"], tmp_path / "out.parquet", layers=order)


def test_files_of_other_columns_are_refused_before_anything_is_predicted(model, dense, tmp_path):
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(dense).append_column("run", pa.array(range(20))), other)
    with pytest.raises(BadInput, match=r"other\.parquet: other columns than in .*dense\.parquet: .*run: int64"):
        told(model, [dense, other], tmp_path / "out.parquet")
    assert not (tmp_path / ".out.parquet.parts").exists()


def test_a_model_of_a_newer_version_and_what_is_none(model, dense, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match=r"dense\.parquet: not a model of topmass"):
        told(dense, [dense], tmp_path / "out.parquet")
    with monkeypatch.context() as patch:
        patch.setattr("topmass.learning.networks.model.VERSION", 99)
        save_model(model)
    with pytest.raises(BadInput, match="a model of version 99, this code reads"):
        told(model, [dense], tmp_path / "out.parquet")


def test_jets_are_not_written_over(model, dense, tmp_path):
    before = dense.read_bytes()
    with pytest.raises(BadInput, match="has no predictions in it: it is not written over"):
        told(model, [dense], dense)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInput, match="this is a folder; name a file"):
        told(model, [dense], tmp_path / "folder")
    assert dense.read_bytes() == before


def test_jets_behind_a_url_are_downloaded(model, dense, tmp_path, bare):
    from servers import web_server

    with web_server(dense.read_bytes()) as server:
        found = told(model, [server.url], tmp_path / "out.parquet")
    assert found.equals(told(model, [dense], tmp_path / "again.parquet"))


def call(*arguments: object) -> subprocess.CompletedProcess:
    script = REPOSITORY / "workflow/scripts/predict_jets.py"
    return subprocess.run([sys.executable, script, *map(str, arguments)], capture_output=True, text=True)


def test_the_script_is_called_without_snakemake(model, dense, tmp_path):
    out = tmp_path / "out.parquet"
    named = tmp_path / "named.parquet"
    pq.write_table(pq.read_table(dense).rename_columns(["pixels", "pt", "ieta", "iphi"]), named)
    ended = call(model, named, out, "--layers", ",".join(NAMES), "--columns", "image=pixels", "--device", "cpu")
    assert ended.returncode == 0 and "20 jets" in ended.stderr
    assert np.allclose(pq.read_table(out)["predicted"], told(model, [dense], out)["predicted"], rtol=1e-4)
    ended = call(model, tmp_path / "nowhere.parquet", out)
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1 and "nowhere.parquet: no such file" in ended.stderr


def test_an_output_that_cannot_be_written_is_named_before_anything_is_predicted(model, dense, monkeypatch):
    monkeypatch.setattr("predict_jets.Predictor.masses", None)
    with pytest.raises(OSError, match="Not a directory") as error:
        told(model, [dense], dense / "out.parquet")
    assert str(dense) in str(error.value.filename)


def test_a_jet_table_may_lack_masses_and_a_training_refuses_it(tmp_path):
    jets = make_jets(5)
    jets.mass[3] = np.nan
    write_jets(tmp_path / "jets.parquet", [jets], LAYERS, {})
    with pytest.raises(BadInput, match=r"jets\.parquet: row 3: mass is not finite"):
        join(list(JetTable(tmp_path / "jets.parquet").batches()))
