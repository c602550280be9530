"""Somebody's jets, with or without masses, through a trained network: `predict_jets`."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from conftest import REPOSITORY, make_jets
from encryption import write_encrypted
from predict import KEYS
from predict_test import predict_test
from test_convert import THREE, only
from topmass.commands.predict_jets import predict_jets
from topmass.export.onnx_model import build_onnx_model
from topmass.export.parity import TOLERANCE, open_session
from topmass.export.wrappers import DenseWrapper
from topmass.files import BadInput
from topmass.io.columns import COMMAND_LINE_OPTIONS
from topmass.io.dense_file import nested_images, write_dense
from topmass.io.dense_images import to_dense
from topmass.jets import HIT_COLUMNS, JetBatch, JetTable, concat_jets, write_jets
from topmass.layers import LAYERS
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.distribution import JetSummary, summarize_shard
from topmass.preprocessing.shard_builder import ShardBuilder
from topmass.preprocessing.shards import Shard, ShardMeta
from topmass.progress import track
from topmass.training.inference import Predictor

NAMES = [layer.name for layer in THREE]
VINTAGE = {"image": "X_jets", "pt": "pt", "ieta": "ieta", "iphi": "iphi"}
"""Columns of another vintage, without a mass."""
META = ShardMeta(
    layers=("hcal", "ecal", "track_pt"), cells=(5, 1, 1), scales=(3.0, 4.0, 5.0),
    zero_suppression=1e-5, compression="log", statistics="none",
)  # fmt: skip
"""Layers in another order than in the files."""
LARGE = replace(META, scales=(300.0, 400.0, 500.0))
"""The same, with scales that no value reaches."""
KINEMATICS = {"name": "kinematics", "width": 8, "depth": 1}


def save_model(
    path: Path,
    meta: ShardMeta = META,
    quantiles: tuple = (),
    network: dict = KINEMATICS,
    training: JetSummary | None = None,
) -> Path:
    model = TrainedModel.new(network, meta, quantiles)
    model.training = training
    model.conformal_scale = 1.5
    # Fresh heads say the same of all jets.
    torch.manual_seed(1)
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.save(path)
    return path


@pytest.fixture
def model(tmp_path) -> Path:
    return save_model(tmp_path / "model.safetensors")


def hard_jets(jets: int, seed: int = 0) -> JetBatch:
    """Made-up jets with ten times the energy: what has been divided by its maximum is far from that."""
    made = make_jets(jets, seed)
    made.value *= 10
    return made


@pytest.fixture
def trained(tmp_path) -> Path:
    """A model that carries how the jets of its training are distributed: 400 that are made as those of all files."""
    jets = hard_jets(400, seed=7)
    shard = ShardBuilder(tmp_path, LAYERS, LARGE).to_shard(jets, np.arange(400), np.ones(400))
    return save_model(tmp_path / "trained.safetensors", LARGE, training=summarize_shard(shard))


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
    shard = ShardBuilder(folder, LAYERS, TrainedModel.load(model).shards).to_shard(
        jets, np.arange(len(jets)), np.ones(len(jets))
    )
    shard.save(folder / "shard.npz")
    predict_test(model, [folder / "shard.npz"], folder / "by_shards.parquet", "cpu", "float32", 1)
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


@pytest.mark.parametrize(
    "network", [KINEMATICS, {"name": "resnet15", "downsample": 8}], ids=lambda network: network["name"]
)
def test_the_exported_graph_gives_them_the_same_masses(network, dense, tmp_path):
    """It takes the pixels of the file as they are, layers in the order of the model."""
    model = save_model(tmp_path / "model.safetensors", network=network)
    found = told(model, [dense], tmp_path / "out.parquet", precision="float32")["predicted"].to_numpy()
    file = pq.read_table(dense)
    images = np.array(file["X_jets"].to_pylist(), "f4").reshape(20, 3, 125, 125)
    order = [NAMES.index(name) for name in META.layers]
    given = {name: file[name].to_numpy().astype("f4") for name in ("ieta", "iphi")}
    session = open_session(build_onnx_model(DenseWrapper(TrainedModel.load(model)), {}), 1)
    (masses,) = session.run(["mass"], {"image": images[:, order], **given})
    assert np.ptp(found) > 1 and np.abs(masses - found).max() < TOLERANCE


def test_a_convolutional_network_takes_them_as_well(dense, tmp_path):
    model = save_model(tmp_path / "model.safetensors", network={"name": "resnet15", "downsample": 8})
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
    monkeypatch.setattr("topmass.io.parquet_input.ROW_GROUP", 6)
    files = [tmp_path / "jets" / f"{i}.parquet" for i in range(3)]
    for i, file in enumerate(files):
        write_dense(file, only(make_jets(9 + i, i), THREE), THREE, columns=VINTAGE)
    whole = told(model, [tmp_path / "jets"], tmp_path / "out.parquet")
    assert len(whole) == 30 and whole.equals(told(model, files, tmp_path / "again.parquet"))
    assert not (tmp_path / ".out.parquet.parts").exists()
    assert len(pq.ParquetFile(tmp_path / "out.parquet").schema_arrow.names) == 4


def test_a_run_that_was_killed_goes_on_with_the_file_that_it_was_at(trained, tmp_path, monkeypatch, said):
    model = trained
    files = [tmp_path / f"{i}.parquet" for i in range(3)]
    for i, file in enumerate(files):
        write_dense(file, only(hard_jets(5, i), THREE), THREE, columns=VINTAGE)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("topmass.commands.predict_jets.track", stop_at("2"))
        told(model, files, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    write_dense(files[0], only(hard_jets(5, 9), THREE), THREE, columns=VINTAGE)
    found = told(model, files, tmp_path / "out.parquet")
    assert "0.parquet: predicted before" not in said() and "1.parquet: predicted before" in said()
    # The jets of the part from before are in the table.
    assert "15 jets compared with 400 of the training" in said()
    assert found.equals(told(model, files, tmp_path / "at_once.parquet"))


def stop_at(name: str):
    """A progress at which the run is killed."""

    def stopped(items, title: str, *settings):
        if title == name:
            raise KeyboardInterrupt
        return track(items, title, *settings)

    return stopped


def write_sparse(path: Path, jets: JetBatch, names: Sequence[str] = ("pt", "ieta", "iphi")) -> Path:
    lists = {name: pa.ListArray.from_arrays(jets.offset.astype("i4"), getattr(jets, name)) for name in HIT_COLUMNS}
    pq.write_table(pa.table(lists | {name: getattr(jets, name) for name in names}), path)
    return path


def row_of(quantity: str, said: str) -> str:
    """The line of the table on this layer or number."""
    (line,) = [line for line in said.splitlines() if line.startswith(quantity)]
    return line


def of(name: str, jets: JetBatch) -> np.ndarray:
    """Which values are of this layer."""
    return jets.layer == NAMES.index(name)


def normalized(jets: JetBatch) -> None:
    jet = np.repeat(np.arange(len(jets)), np.diff(jets.offset))
    largest = np.zeros((len(jets), len(NAMES)))
    np.maximum.at(largest, (jet, jets.layer), jets.value)
    jets.value /= largest[jet, jets.layer].astype("f4")


def in_towers(jets: JetBatch) -> None:
    jets.ieta //= 5
    jets.iphi //= 5


def scaled_by(size: float):
    def change(jets: JetBatch) -> None:
        jets.value *= size
        jets.pt *= size

    return change


def without(*names: str):
    def change(jets: JetBatch) -> None:
        jets.value[np.isin(jets.layer, [NAMES.index(name) for name in names])] = 0

    return change


def below_zero(name: str, part: slice, size: float = 1):
    def change(jets: JetBatch) -> None:
        jets.value[np.flatnonzero(of(name, jets))[part]] *= -size

    return change


def standardized(jets: JetBatch) -> None:
    for name in NAMES:
        values = jets.value[of(name, jets)]
        jets.value[of(name, jets)] = (values - values.mean() - 0.1) / values.std()


def at(name: str, place: int):
    def change(jets: JetBatch) -> None:
        getattr(jets, name)[7] = place

    return change


ENERGY = "the transverse energy in ecal and hcal is"
REFUSED = {
    "in TeV": (scaled_by(1e-3), ENERGY + r" [\d.]+ GeV per jet, .*; expected some \d+ to [\d,]+ GeV"),
    "in MeV": (scaled_by(1e3), ENERGY + r" [\d,]{7,} GeV per jet, .*: give values per pixel in GeV"),
    "each image divided by its maximum": (normalized, ENERGY + r" \d+ GeV .*, and pt \d+ GeV; .* nor normalized"),
    "standardized": (standardized, r"row 0: value in layer 'track_pt' is -0\.\d+; expected none below zero"),
    "tracks below zero": (below_zero("track_pt", slice(7, 8)), r"row 1: value in layer 'track_pt' is -\d"),
    "HCAL below zero": (below_zero("hcal", slice(None)), "100% of the values of hcal are negative"),
    "a tower far below zero": (below_zero("hcal", slice(5, 6), 9), "hcal has values down to -.*, which may be noise"),
    "no calorimeter": (without("ecal", "hcal"), "no jet has energy in ecal and hcal; .* give these layers"),
    "towers": (in_towers, r"95% of the jets have \|ieta\| up to \d\d and iphi up to \d\d; .* tower i is crystal 5 i"),
    "beyond the detector in η": (at("ieta", 9000), "row 7: ieta is 9000; expected crystals, from -300 to 300"),
    "beyond the detector in φ": (at("iphi", -5000), "row 7: iphi is -5000; expected crystals, from -360 to 360"),
}


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_jets_that_cannot_be_meant_are_refused_and_nothing_is_written(change, message, form, trained, tmp_path):
    jets, file = only(hard_jets(40), THREE), tmp_path / "jets.parquet"
    change(jets)
    write_sparse(file, jets) if form == "sparse" else write_dense(file, jets, THREE, "f4", columns=VINTAGE)
    with pytest.raises(BadInput, match=rf"jets\.parquet: {message}") as error:
        told(trained, [file], tmp_path / "out.parquet")
    assert "\n" not in str(error.value) and not (tmp_path / "out.parquet").exists()


def far_above(jets: JetBatch) -> None:
    for jet in (3, 8):
        here = np.arange(jets.offset[jet], jets.offset[jet + 1])
        jets.value[here[jets.layer[here] == NAMES.index("ecal")]] = 4000.0


def only_phi_in_towers(jets: JetBatch) -> None:
    jets.iphi //= 5


def one_layer_in_tev(jets: JetBatch) -> None:
    jets.value[of("track_pt", jets)] /= 1000


def two_without_energy(jets: JetBatch) -> None:
    jet = np.repeat(np.arange(len(jets)), np.diff(jets.offset))
    jets.value[np.isin(jet, [3, 8]) & ~of("track_pt", jets)] = 0


TOLD = {
    "some values far above": (far_above, "ecal", "2 jets with a value far above the training's"),
    "noise": (below_zero("ecal", slice(0, 40, 4), 0.02), "ecal", "5% of the values are negative, down to -"),
    "one layer in TeV": (one_layer_in_tev, "track_pt", "of the training's, as in TeV"),
    "an empty layer": (without("track_pt"), "track_pt", "far off: empty in 100% of the jets"),
    "two jets without energy": (two_without_energy, "et", "none in 2 of 40 jets"),
    "iphi in towers": (only_phi_in_towers, "iphi", "the training's range: towers instead of crystals?"),
    "pT in MeV": (lambda jets: np.multiply(jets.pt, 1000, out=jets.pt), "pt", "times the training's, as in MeV"),
}


@pytest.mark.parametrize(("change", "quantity", "words"), TOLD.values(), ids=TOLD)
def test_jets_that_may_be_right_are_compared_with_the_training(change, quantity, words, trained, tmp_path, said):
    jets = only(hard_jets(40), THREE)
    change(jets)
    told(trained, [write_sparse(tmp_path / "jets.parquet", jets)], tmp_path / "out.parquet")
    assert words in row_of(quantity, said())
    assert ("check the units and the normalization of" in said()) == ("far off" in row_of(quantity, said()))


def test_jets_like_those_of_the_training_are_alike_in_all(trained, tmp_path, said):
    write_jets(tmp_path / "table.parquet", [hard_jets(200)], LAYERS, {})
    told(trained, [tmp_path / "table.parquet"], tmp_path / "out.parquet", layers=[])
    assert "200 jets compared with 400 of the training" in said()
    quantities = ("track_pt (GeV)", "ecal (GeV)", "hcal (GeV)", "et (GeV)", "pt (GeV)", "ieta", "iphi")
    assert all(row_of(each, said()).endswith("| alike") for each in quantities)
    assert row_of("mass (GeV)", said()).endswith("| predicted") and "check" not in said()


@pytest.mark.parametrize("pt", [None, ["?"] * 20, [None] * 20, [-1.0] * 20], ids=["none", "text", "null", "a marker"])
def test_no_model_asks_for_pt(pt, trained, dense, tmp_path, said):
    table = pq.read_table(dense).drop_columns("pt")
    pq.write_table(table if pt is None else table.append_column("pt", pa.array(pt)), dense)
    assert len(told(trained, [dense], tmp_path / "out.parquet")) == 20
    assert "\net (GeV)" in said() and ("\npt (GeV)" in said()) == (pt == [-1.0] * 20)


def test_layers_that_the_model_does_not_take_may_have_any_sign(tmp_path):
    jets = only(make_jets(5), THREE)
    jets.value[of("track_pt", jets)] *= -1
    meta = replace(META, layers=("hcal", "ecal"), cells=(5, 1), scales=(3.0, 4.0))
    model = save_model(tmp_path / "model.safetensors", meta)
    assert len(told(model, [write_sparse(tmp_path / "jets.parquet", jets)], tmp_path / "out.parquet")) == 5


def test_a_model_without_a_training_compares_nothing(model, dense, tmp_path, said):
    told(model, [dense], tmp_path / "out.parquet")
    assert said() == f"20 jets: {tmp_path}/out.parquet"


def test_a_mass_that_is_not_finite_is_refused_with_its_row(model, dense, tmp_path, monkeypatch):
    monkeypatch.setattr("topmass.io.parquet_input.ROW_GROUP", 8)
    masses, seen = Predictor.masses, []

    def broken(predictor: Predictor, shard: Shard, *more) -> np.ndarray:
        found = masses(predictor, shard, *more)
        seen.extend(range(len(seen), len(seen) + len(found)))
        return np.where(np.array(seen[-len(found) :])[:, None] == 10, np.nan, found)

    monkeypatch.setattr(Predictor, "masses", broken)
    with pytest.raises(BadInput, match=r"dense\.parquet: row 10: the predicted mass is not finite, like 0 more of"):
        told(model, [dense], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    seen.clear()
    with pytest.raises(BadInput, match=r"shard\.npz: row 10: the predicted mass is not finite"):
        by_way_of_shards(model, make_jets(20), tmp_path)


def change(table: pa.Table, name: str, column) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def with_nan(table: pa.Table) -> pa.Table:
    images = to_dense(only(make_jets(20), THREE), THREE)
    images[13, 1, 60, 60] = np.nan
    return change(table, "X_jets", nested_images(images))


BAD = {
    "no image": (lambda t: t.drop_columns("X_jets"), "neither dense images nor lists of values"),
    "images of another side": (
        lambda t: change(t, "X_jets", nested_images(np.ones((len(t), 3, 64, 64)))),
        "row 0: images are 3 × 64 × 64 instead of 3 × 125 × 125",
    ),
    "a NaN pixel": (with_nan, r"row 13: value in layer '\w+' is not finite"),
    "no jet": (lambda t: t.slice(0, 0), "no jet in this file"),
    "no position": (lambda t: t.drop_columns("ieta"), "no column 'ieta', and the model asks for it"),
    "a column of ours": (
        lambda t: t.append_column("predicted", t["pt"]),
        "column 'predicted' has the name of a column of the output; to fix: rename it",
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
    "unknown": (["track_pt", "muon", "hcal"], "--layers has no known layer 'muon'; there are track_pt, "),
    "twice": (["ecal", "hcal", "ecal"], "--layers has the layer 'ecal' twice"),
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
    with pytest.raises(BadInput, match=r"its layers are track_pt, .*bpix3, and --layers says bpix3, "):
        told(model, [tmp_path / "table.parquet"], tmp_path / "out.parquet", layers=order)


@pytest.mark.parametrize("name", ["X_jets", "pt", "ieta"])
def test_a_column_that_is_there_twice_is_refused(name, model, dense, tmp_path):
    table = pq.read_table(dense)
    pq.write_table(table.append_column(name, table[name]), dense)
    with pytest.raises(BadInput, match=rf"dense\.parquet: two columns '{name}': rename one"):
        told(model, [dense], tmp_path / "out.parquet")
    write_jets(dense, [make_jets(5)], LAYERS, {})
    table = pq.read_table(dense)
    pq.write_table(table.append_column("mass", table["mass"]), dense)
    with pytest.raises(BadInput, match=r"dense\.parquet: two columns 'mass': rename one"):
        told(model, [dense], tmp_path / "out.parquet", layers=[])


@pytest.mark.parametrize("column", ["ieta", "run"])
def test_encrypted_columns_are_called_encrypted(column, model, dense, tmp_path):
    """One that the model takes, and one that is to stand beside the masses."""
    table = pq.read_table(dense).append_column("run", pa.array(range(20)))
    write_encrypted(table, dense, [column])
    with pytest.raises(BadInput, match=r"dense\.parquet: the file, or some of its columns, are encrypted"):
        told(model, [dense], tmp_path / "out.parquet")
    write_encrypted(table, dense, [column], plain_footer=False)
    with pytest.raises(BadInput, match=r"dense\.parquet: not a parquet file but an encrypted parquet file"):
        told(model, [dense], tmp_path / "out.parquet")


@pytest.mark.parametrize("known", [True, False], ids=["a type that Arrow knows", "one that it does not know"])
def test_files_of_awkward_arrays(known, model, dense, tmp_path):
    table = pq.read_table(dense)
    images = np.array(table["X_jets"].to_pylist(), "f4").reshape(20, -1)
    columns = {"X_jets": ak.Array(images)} | {name: table[name].to_numpy() for name in ("pt", "ieta", "iphi")}
    written = ak.to_arrow_table(ak.zip(columns, depth_limit=1), extensionarray=True)
    pq.write_table(written, tmp_path / "awkward.parquet")
    wanted = told(model, [dense], tmp_path / "dense_out.parquet")
    if not known:
        pa.unregister_extension_type("awkward")
    try:
        found = told(model, [tmp_path / "awkward.parquet"], tmp_path / "out.parquet")
    finally:
        if not known:
            pa.register_extension_type(written["pt"].type)
    assert found["predicted"].equals(wanted["predicted"])
    # Awkward Array reads its own columns back.
    assert ak.from_parquet(tmp_path / "out.parquet").pt.to_list() == table["pt"].to_pylist()


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
        patch.setattr("topmass.models.trained_model.MODEL_VERSION", 99)
        save_model(model)
    with pytest.raises(BadInput, match="a model of version 99, this code reads"):
        told(model, [dense], tmp_path / "out.parquet")


def test_jets_are_not_written_over(model, dense, tmp_path):
    before = dense.read_bytes()
    with pytest.raises(BadInput, match="contains no predictions, so it is not overwritten"):
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
    script = REPOSITORY / "workflow/scripts/predict.py"
    return subprocess.run([sys.executable, script, *map(str, arguments)], capture_output=True, text=True)


UNCLEAR = {
    "no layers": ({"layers": []}, lambda t: t, "layers"),
    "an unknown layer": ({"layers": ["ecal", "muon"]}, lambda t: t, "layers"),
    "a layer twice": ({"layers": ["ecal", "ecal"]}, lambda t: t, "layers"),
    "no image": ({}, lambda t: t.drop_columns("X_jets"), "columns"),
    "two images": ({}, lambda t: t.append_column("image", t["X_jets"]), "columns"),
    "no position": ({}, lambda t: t.drop_columns("iphi"), "columns"),
    "no GPU": ({"device": "cuda:9"}, lambda t: t, "device"),
}


@pytest.mark.parametrize("settings", [COMMAND_LINE_OPTIONS, KEYS], ids=["command line", "workflow"])
@pytest.mark.parametrize(("given", "spoil", "setting"), UNCLEAR.values(), ids=UNCLEAR)
def test_a_message_names_the_setting_as_the_user_gives_it(given, spoil, setting, settings, model, dense, tmp_path):
    pq.write_table(spoil(pq.read_table(dense)), dense)
    with pytest.raises(BadInput) as error:
        told(model, [dense], tmp_path / "out.parquet", settings=settings, **given)
    others = {*COMMAND_LINE_OPTIONS.values(), *KEYS.values(), "'layers'", "'columns'", "the sample"} - {
        settings[setting]
    }
    assert settings[setting] in str(error.value) and not [each for each in others if each in str(error.value)]


def test_a_position_that_no_model_takes_is_not_named(dense, tmp_path):
    model = save_model(tmp_path / "model.safetensors", replace(META, position=False))
    with pytest.raises(BadInput, match="the model takes no position, and --columns names ieta: leave that out"):
        told(model, [dense], tmp_path / "out.parquet", columns={"ieta": "ieta"})


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
    monkeypatch.setattr("topmass.commands.predict_jets.Predictor.masses", None)
    with pytest.raises(OSError, match="Not a directory") as error:
        told(model, [dense], dense / "out.parquet")
    assert str(dense) in str(error.value.filename)


def test_a_jet_table_may_lack_masses_and_a_training_refuses_it(tmp_path):
    jets = make_jets(5)
    jets.mass[3] = np.nan
    write_jets(tmp_path / "jets.parquet", [jets], LAYERS, {})
    with pytest.raises(BadInput, match=r"jets\.parquet: row 3: mass is not finite"):
        concat_jets(list(JetTable(tmp_path / "jets.parquet", "mass").batches()))
