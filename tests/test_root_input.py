"""Jets with particle-flow candidates in ROOT files: `convert` and `predict_jets`."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import uproot

from conftest import make_jets
from convert import convert
from root_files import made_up, write_jetclass, write_nanoaod, write_tree
from test_convert import read
from test_predict_jets import KINEMATICS, META, save_model
from topmass.commands.predict_jets import predict_jets
from topmass.config import cross_checks
from topmass.config.config_sources import ConfigSource
from topmass.config.configuration import SCHEMA, configure
from topmass.evaluation.friend_tree import FriendFile, write_friend_tree
from topmass.features.particle_flow import CALO_RESPONSE, particle_flow
from topmass.files import BadInput
from topmass.io import root_input
from topmass.io.candidate_images import CHARGED_RESPONSE, ECAL, HCAL, TOWERS, Candidates, image_candidates
from topmass.io.root_formats import CANDIDATE_LAYERS, FORMATS, ROOT_QUANTITIES
from topmass.jets import JetTable, write_jets
from topmass.layers import LAYERS, PIXEL_ETA, PIXEL_PHI, SIDE, TOWER
from topmass.simulation.imaging import pixel_of

LAYER_NAMES = [layer.name for layer in CANDIDATE_LAYERS]
CMS_FILES = os.environ.get("TOPMASS_CMS_FILES")
needs_cms = pytest.mark.skipif(
    not CMS_FILES, reason="TOPMASS_CMS_FILES does not name a folder with pfnano.root and nanoAOD_2015_ttbar.root"
)


def image(rows: list[tuple], axis: tuple[float, float] = (0.01, 0.01)) -> tuple:
    """The image of one jet: hits by layer, and central pixel. A row: pT, η, φ, charge, PDG code, d0."""
    pt, eta, phi, charge, code, d0 = np.array(rows, float).reshape(-1, 6).T
    candidates = Candidates(
        np.zeros(len(pt), int), pt, eta, phi, charge != 0, np.isin(code, (11, 22)), code == 13, d0, 2 * d0
    )
    images = image_candidates(candidates, *(np.array([value]) for value in axis))
    hits = {name: {} for name in LAYER_NAMES}
    for pixel, layer, value in zip(images.pixel, images.layer, images.value, strict=True):
        hits[LAYER_NAMES[layer]][int(pixel)] = pytest.approx(float(value), rel=1e-5)
    return hits, (int(images.ieta[0]), int(images.iphi[0]))


def test_candidates_become_the_hits_of_their_kind():
    rows = [
        (10, 0.03, 0.04, 1, 211, 0.1),
        (20, 0.031, 0.041, -1, 211, -0.2),
        (5, 0.031, 0.041, 0, 22, 9),
        (7, 0.2, 0.2, -1, 11, 0.3),
        (8, -0.2, 0.2, 1, 13, 0.4),
        (50, 0.01, 0.01, 0, 130, 9),
    ]  # fmt: skip
    hits, centre = image(rows)
    assert centre == (2, 2)
    pixel = [pixel_of(eta, phi, 2 - SIDE // 2, 2 - SIDE // 2) for _, eta, phi, *_ in rows]
    # The leading track of a pixel counts.
    assert hits["track_pt"] == {pixel[1]: 20, pixel[3]: 7, pixel[4]: 8}
    assert hits["track_d0"] == {pixel[1]: -0.2, pixel[3]: 0.3, pixel[4]: 0.4}
    assert hits["track_dz"] == {pixel[1]: -0.4, pixel[3]: 0.6, pixel[4]: 0.8}
    assert hits["ecal"] == {pixel[1]: 5 * np.cosh(0.031), pixel[3]: 7 * np.cosh(0.2)}
    charged = CHARGED_RESPONSE * (10 * np.cosh(0.03) + 20 * np.cosh(0.031))
    middle = TOWERS // 2 * TOWERS + TOWERS // 2
    assert hits["hcal"] == {middle: (50 * np.cosh(0.01) + charged) / TOWER**2}


@pytest.mark.parametrize("phi", [0.3, np.pi - 0.01, -0.01])
def test_the_window_is_centred_on_the_tower_with_the_highest_hcal_energy_near_the_axis(phi):
    far, photon = (900, 0.8, phi, 0, 130, 0), (500, 0.3, phi, 0, 22, 0)
    tower = lambda eta, phi: tuple(  # noqa: E731
        np.floor(np.array([eta / PIXEL_ETA, phi / PIXEL_PHI % 360]) / TOWER).astype(int) * TOWER + TOWER // 2
    )
    assert image([(50, 0.2, phi, 0, 130, 0), (60, 0.3, phi, 0, 130, 0), far, photon], (0.2, phi))[1] == tower(0.3, phi)
    assert image([far, photon], (0.2, phi))[1] == tower(0.2, phi)
    hits, _ = image([(60, 0.3, phi, 0, 130, 0)], (0.2, phi))
    assert [*hits["hcal"]] == [TOWERS // 2 * TOWERS + TOWERS // 2]


def test_pixels_are_those_of_the_simulation():
    rng = np.random.default_rng(1)
    points = rng.uniform((-1.4, -np.pi), (1.4, np.pi), (200, 2))
    for eta, phi in points:
        hits, (ieta, iphi) = image([(1, eta, phi, 1, 211, 0.1)], (0.0, 3.0))
        pixel = pixel_of(eta, phi, ieta - SIDE // 2, iphi - SIDE // 2)
        assert [*hits["track_pt"]] == ([pixel] if pixel >= 0 else [])


def test_particle_flow_of_the_networks_gives_the_neutral_candidates_back():
    assert CHARGED_RESPONSE == CALO_RESPONSE
    charged = torch.tensor([100.0, 0, 0, 100.0]).view(1, 4, 1)
    hcal = torch.tensor([[30 + CHARGED_RESPONSE * 100]])
    zero = torch.zeros(1, 1)
    flow = particle_flow(charged, torch.tensor([[20.0]]), hcal, zero, zero, zero)
    assert torch.allclose(flow.neutral_fraction, torch.ones(1, 1))
    assert torch.allclose(flow.neutral_hadrons[:, 3], torch.tensor([[30.0]]))
    assert torch.allclose(flow.momenta[0][:, 3], torch.tensor([[150.0]]))


def test_nanoaod_becomes_a_jet_table(tmp_path):
    events = made_up()
    convert(write_nanoaod(tmp_path / "events.root", events), tmp_path / "jets.parquet", file_format="nanoaod")
    table, jets = JetTable(tmp_path / "jets.parquet"), read(tmp_path / "jets.parquet")
    assert [layer.name for layer in table.layers] == LAYER_NAMES and table.position
    counts = ak.to_numpy(ak.num(events["FatJet"]))
    assert np.array_equal(jets.event, np.repeat(events["event"], counts))
    assert np.allclose(jets.pt, ak.flatten(events["FatJet"].pt)) and np.isnan(jets.mass).all()
    assert np.allclose(jets.softdrop_mass, ak.flatten(events["FatJet"].msoftdrop))
    assert np.array_equal(jets.pileup, np.repeat(events["Pileup_nPU"], counts))
    matched = np.concatenate([np.arange(count) == 0 for count in counts])
    assert np.array_equal(jets.gen_jet_mass[matched], events["event"][counts > 0] - 1000 + 80)
    assert np.isnan(jets.gen_jet_mass[~matched]).all()
    # Each jet has the energy of its own electromagnetic candidates.
    links, candidates = events["FatJetPFCands"], events["PFCands"]
    linked = candidates[links.pFCandsIdx]
    energy = ak.where((linked.pdgId == 22) | (linked.pdgId == 11), linked.pt * np.cosh(linked.eta), 0)
    expected = [ak.sum(energy[links.jetIdx == jet], axis=1)[event]
                for event, count in enumerate(counts) for jet in range(count)]  # fmt: skip
    of = np.repeat(np.arange(len(jets)), np.diff(jets.offset))
    found = np.bincount(of[jets.layer == ECAL], jets.value[jets.layer == ECAL], len(jets))
    assert np.allclose(found, expected, rtol=1e-4) and HCAL in jets.layer


def test_weights_of_candidates_multiply_their_momenta(tmp_path):
    events = made_up()
    convert(write_nanoaod(tmp_path / "a.root", events), tmp_path / "a.parquet", file_format="nanoaod")
    events["PFCands"] = ak.with_field(events["PFCands"], 0.5 * events["PFCands"].puppiWeight, "puppiWeight")
    convert(write_nanoaod(tmp_path / "b.root", events), tmp_path / "b.parquet", file_format="nanoaod")
    one, other = read(tmp_path / "a.parquet"), read(tmp_path / "b.parquet")
    energy = np.isin(one.layer, (0, ECAL, HCAL))
    assert np.array_equal(one.pixel, other.pixel) and np.allclose(other.value[energy], one.value[energy] / 2)


@pytest.mark.parametrize("chunk", ["32 MB", "1 B"])
def test_parts_of_a_file_are_the_whole_however_much_is_read_at_a_time(chunk, tmp_path, monkeypatch):
    source = write_nanoaod(tmp_path / "events.root")
    convert(source, tmp_path / "whole.parquet", file_format="nanoaod")
    monkeypatch.setattr(root_input, "CHUNK", chunk)
    for part in range(3):
        convert(source, tmp_path / f"parts/{part}.parquet", 0, part, 3, file_format="nanoaod")
    whole, parts = pq.read_table(tmp_path / "whole.parquet"), pq.read_table(tmp_path / "parts")
    assert parts.equals(whole.replace_schema_metadata(parts.schema.metadata))


def test_jetclass_gives_the_hits_of_the_same_candidates(tmp_path):
    for name, write in (("nanoaod", write_nanoaod), ("jetclass", write_jetclass)):
        convert(write(tmp_path / f"{name}.root"), tmp_path / f"{name}.parquet", file_index=2, file_format=name)
    one, other = (read(tmp_path / f"{name}.parquet") for name in ("nanoaod", "jetclass"))
    for name in ("offset", "pixel", "layer", "ieta", "iphi", "pt", "softdrop_mass"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.allclose(one.value, other.value, rtol=1e-5)
    # Each jet is an event of its own, with a number unique in the sample.
    assert np.array_equal(other.event, 20_000_000 + np.arange(len(other)))


def test_names_of_branches_and_the_tree_may_differ_and_a_target_may_be_named(tmp_path):
    events = made_up()
    events["Constituent"] = events.pop("PFCands")
    source = write_tree(tmp_path / "odd:name.root", events, "Delphes")
    fields = {"pt": "pt", "eta": "eta", "phi": "phi", "charge": "charge", "pdgid": "pdgId", "d0": "d0", "dz": "dz"}
    columns = {f"candidate_{name}": f"Constituent_{branch}" for name, branch in fields.items()}
    columns["mass"] = "FatJet_mass"
    convert(source, tmp_path / "jets.parquet", columns=columns, file_format="nanoaod")
    assert np.allclose(read(tmp_path / "jets.parquet").mass, ak.flatten(events["FatJet"].mass))


def shorter(events: dict) -> None:
    # A tree with two lists of candidates, one of them shorter.
    events["Other"] = ak.zip({"d0": events["PFCands"].d0[:, :-1]})


def without_candidates(events: dict) -> None:
    links = events["FatJetPFCands"]
    events["FatJetPFCands"] = links[(links.jetIdx != 1) | (np.arange(len(links)) > 0)]


def beyond(events: dict) -> None:
    links = events["FatJetPFCands"]
    events["FatJetPFCands"] = ak.with_field(links, links.jetIdx + 5, "jetIdx")


def not_finite(events: dict) -> None:
    candidates = events["PFCands"]
    events["PFCands"] = ak.with_field(candidates, ak.where(candidates.charge > 0, np.nan, candidates.pt), "pt")


WRONG = {
    "no candidates": (lambda events: events.pop("PFCands"), {}, "no branch 'PFCands_pt' for candidate_pt"),
    "no jets": (lambda events: events.pop("FatJet"), {}, "no branch 'FatJet_pt' for pt; expected jets"),
    "unequal lengths": (
        shorter,
        {"candidate_d0": "Other_d0"},
        r"entry 0: branch 'Other_d0' has \d+ values, 'PFCands_pt'",
    ),
    "an index too high": (beyond, {}, "branch 'FatJetPFCands_jetIdx' has the index 5; expected one below 2"),
    "a jet without candidates": (without_candidates, {}, "row 1: no pixel is set; to leave such jets out"),
    "not finite": (not_finite, {}, "row 0: value in layer 'track_pt' is not finite"),
    "a column that nothing uses": (
        lambda events: None,
        {"image": "event"},
        "names image; expected quantities of nanoaod",
    ),
    "a number for a list": (lambda events: None, {"candidate_d0": "event"}, "'event' for candidate_d0 has no list"),
    "one branch of jets per event": (lambda events: None, {"pt": "event"}, "'event' has no list per event"),
}


@pytest.mark.parametrize(("change", "columns", "message"), WRONG.values(), ids=WRONG)
def test_unusable_branches_are_refused_in_one_line(change, columns, message, tmp_path):
    events = made_up()
    change(events)
    source = write_nanoaod(tmp_path / "events.root", events)
    with pytest.raises(BadInput, match=message) as error:
        convert(source, tmp_path / "jets.parquet", columns=columns, file_format="nanoaod")
    assert str(error.value).startswith(str(source)) and "\n" not in str(error.value)
    assert not (tmp_path / "jets.parquet").exists()


def test_jets_without_candidates_can_be_dropped(tmp_path, said):
    events = made_up()
    without_candidates(events)
    source = write_nanoaod(tmp_path / "events.root", events)
    convert(source, tmp_path / "jets.parquet", on_invalid="drop", file_format="nanoaod")
    assert len(read(tmp_path / "jets.parquet")) == ak.count(events["FatJet"].pt) - 1 and "left out" in said()


def test_damaged_files_are_refused_in_one_line(tmp_path):
    source = write_nanoaod(tmp_path / "events.root")
    tree = uproot.open(source)["Events"]
    seek = tree["PFCands_eta"].basket_key(1).fSeekKey
    content = bytearray(source.read_bytes())
    content[seek + 60 : seek + 120] = b"\xff" * 60
    (tmp_path / "basket.root").write_bytes(content)
    (tmp_path / "half.root").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.root").write_text("404 not found")
    shutil.copy(source, tmp_path / "events.parquet")
    write_jets(tmp_path / "table.root", [make_jets(4)], LAYERS, {})
    write_tree(tmp_path / "other.root", made_up(), "A")
    with uproot.update(tmp_path / "other.root") as file:
        file.mktree("B", {"x": "f8"})
    for name, file_format, message in (
        ("basket.root", "nanoaod", "damaged after entry"),
        ("half.root", "nanoaod", "not a complete ROOT file|damaged"),
        ("text.root", "nanoaod", "not a ROOT file but text"),
        ("table.root", "nanoaod", "not a ROOT file but a parquet file; to fix: leave 'format' out"),
        ("events.parquet", "parquet", "a ROOT file; to fix: set 'format'"),
        ("other.root", "nanoaod", "no tree 'Events'; there are A, B"),
    ):
        with pytest.raises(BadInput, match=message) as error:
            convert(tmp_path / name, tmp_path / "jets.parquet", layers=[], file_format=file_format)
        assert "\n" not in str(error.value)


@pytest.fixture
def model(tmp_path) -> Path:
    return save_model(tmp_path / "model.safetensors", quantiles=(0.16, 0.5, 0.84))


def test_predictions_are_those_of_the_jet_table_and_have_the_identifiers(model, tmp_path):
    source = write_nanoaod(tmp_path / "folder/events.root")
    convert(source, tmp_path / "table.parquet", file_format="nanoaod")
    predict_jets(model, [str(tmp_path / "table.parquet")], tmp_path / "a.parquet", device="cpu")
    predict_jets(model, [str(tmp_path / "folder")], tmp_path / "b.parquet", device="cpu", file_format="nanoaod")
    one, other = pq.read_table(tmp_path / "a.parquet"), pq.read_table(tmp_path / "b.parquet")
    for name in ("predicted", "low", "high", "event", "pt"):
        assert np.allclose(one[name], other[name], rtol=1e-5)
    counts = ak.to_numpy(ak.num(made_up()["FatJet"]))
    assert np.array_equal(other["jet_index"], np.concatenate([np.arange(count) for count in counts]))
    assert set(other["run"].to_pylist()) == {7} and "gen_jet_mass" in other.column_names


def test_a_tree_of_masses_is_a_friend_of_the_events(model, tmp_path):
    sources = [write_nanoaod(tmp_path / f"{seed}.root", made_up(seed=seed)) for seed in range(2)]
    jets = [str(source) for source in sources]
    for _ in range(2):
        predict_jets(model, jets, tmp_path / "out.root", device="cpu", file_format="nanoaod")
    predict_jets(model, jets, tmp_path / "out.parquet", device="cpu", file_format="nanoaod")
    friend, table = uproot.open(tmp_path / "out.root")["topmass"], pq.read_table(tmp_path / "out.parquet")
    branches = friend.arrays()
    events = [made_up(seed=seed) for seed in range(2)]
    counts = np.concatenate([ak.to_numpy(ak.num(each["FatJet"])) for each in events])
    assert set(friend.keys()) == {
        "event", "run", "njet", "jet_index", "topmass", "topmass_low", "topmass_high",
    }  # fmt: skip
    assert np.array_equal(ak.num(branches.topmass), counts) and (counts == 0).any()
    assert np.array_equal(branches.event, np.concatenate([each["event"] for each in events]))
    for branch, column in {"topmass": "predicted", "topmass_low": "low", "topmass_high": "high"}.items():
        assert np.array_equal(ak.flatten(branches[branch]), table[column].to_numpy())
    assert np.array_equal(ak.flatten(branches.jet_index), table["jet_index"].to_numpy())


def test_a_file_without_entries_before_others_changes_no_tree(tmp_path):
    """Such as the first of several files, if no event of it was selected."""
    files = [
        FriendFile({"event": np.arange(number)}, np.ones(number, int), pa.table({"predicted": np.full(number, 170.0)}))
        for number in (0, 3, 2)
    ]
    assert write_friend_tree(tmp_path / "out.root", files) == 5
    with uproot.open(tmp_path / "out.root") as file:
        assert file.keys() == ["topmass;1"]
        assert ak.flatten(file["topmass"]["topmass"].array()).tolist() == 5 * [170.0]


def test_files_with_one_jet_per_entry_have_a_flat_tree(tmp_path):
    model = save_model(tmp_path / "model.safetensors")
    source = write_jetclass(tmp_path / "jets.root")
    predict_jets(model, [str(source)], tmp_path / "out.root", device="cpu", file_format="jetclass")
    convert(source, tmp_path / "table.parquet", file_format="jetclass")
    predict_jets(model, [str(tmp_path / "table.parquet")], tmp_path / "table.root", device="cpu")
    for name in ("out", "table"):
        branches = uproot.open(tmp_path / f"{name}.root")["topmass"].arrays(library="np")
        assert set(branches) == {"event", "jet_index", "topmass"}
        assert len(branches["topmass"]) == uproot.open(source)["tree"].num_entries
        assert np.array_equal(branches["jet_index"], np.arange(len(branches["topmass"])))


def test_a_file_of_the_user_is_not_overwritten(model, tmp_path):
    source = write_nanoaod(tmp_path / "events.root")
    with pytest.raises(BadInput, match="contains no predictions, so it is not overwritten"):
        predict_jets(model, [str(source)], source, device="cpu", file_format="nanoaod")


def test_a_model_with_pixel_layers_is_refused_in_one_line(tmp_path):
    meta = replace(META, layers=("bpix1", "ecal"), cells=(1, 1), scales=(3.0, 4.0))
    model = save_model(tmp_path / "model.safetensors", meta, network=KINEMATICS)
    source = write_nanoaod(tmp_path / "events.root")
    with pytest.raises(BadInput, match="no layer 'bpix1'; it has track_pt, track_dz, track_d0, ecal, hcal"):
        predict_jets(model, [str(source)], tmp_path / "out.parquet", device="cpu", file_format="nanoaod")


def test_the_configuration_has_the_quantities_and_layers_of_the_formats():
    assert list(cross_checks.CANDIDATE_LAYERS) == LAYER_NAMES
    for properties in (SCHEMA["$defs"]["sample_of_files"]["properties"], SCHEMA["properties"]["predict"]["properties"]):
        assert set(ROOT_QUANTITIES) <= set(properties["columns"]["propertyNames"]["enum"])
        assert properties["format"]["enum"] == ["parquet", *FORMATS]


def configured(sample: dict, layers: list[str] = LAYER_NAMES, **more) -> dict:
    content = {
        "samples": {"mine": sample},
        "datasets": {"mine": {"extends": "flat", "sample": "mine", "layers": layers}},
    }
    return configure([ConfigSource("mine.yaml", content | more)])


def test_a_folder_stands_for_its_files_of_the_format(tmp_path):
    for name in ("a.root", "b.root", "c.parquet"):
        (tmp_path / name).touch()
    for file_format, names in (("nanoaod", ["a.root", "b.root"]), ("parquet", ["c.parquet"])):
        sample = configured({"format": file_format, "files": [{"path": str(tmp_path)}]})["samples"]["mine"]
        assert [Path(file["path"]).name for file in sample["files"]] == names
    jets = [str(tmp_path), "https://example.org/jets.root"]
    predict = {"model": "fast/1", "format": "jetclass", "jets": jets}
    config = configure([ConfigSource("mine.yaml", {"predict": predict})])
    *files, download = config["predict"]["jets"]
    assert [Path(file["path"]).name for file in files] == ["a.root", "b.root"] and download["name"].endswith(".root")


URL = {"files": [{"url": "https://example.org/jets.root"}]}
PREDICT = {"model": "fast/1", "jets": "gun"}
REFUSED = {
    "a layer without candidates": (
        {"format": "nanoaod"} | URL,
        {"layers": ["ecal", "bpix1"]},
        "has track_pt, track_dz",
    ),
    "layers": ({"format": "jetclass", "layers": ["ecal"]} | URL, {}, "the candidates fill track_pt"),
    "images": ({"format": "nanoaod", "columns": {"image": "x"}} | URL, {}, "format nanoaod have no image"),
    "branches of parquet": ({"columns": {"candidate_pt": "x"}} | URL, {}, "only ROOT files have it"),
    "columns of a prediction": (URL, {"predict": PREDICT | {"columns": {"pt": "x"}}}, "only ROOT files have it"),
    "a sample of jet tables": (URL, {"predict": PREDICT | {"format": "nanoaod"}}, "'gun' are jet tables"),
    "another format": ({"format": "root"} | URL, {}, "format"),
}


@pytest.mark.parametrize(("sample", "more", "message"), REFUSED.values(), ids=REFUSED)
def test_contradictory_formats_are_refused_before_anything_runs(sample, more, message):
    with pytest.raises(BadInput, match=message):
        configured(sample, **more)


@needs_cms
def test_a_file_of_cms_goes_through_prediction(model, tmp_path):
    source = f"{CMS_FILES}/pfnano.root"
    predict_jets(model, [source], tmp_path / "out.parquet", device="cpu", file_format="nanoaod")
    table = pq.read_table(tmp_path / "out.parquet")
    assert len(table) == 24 and np.isfinite(table["predicted"]).all()
    predict_jets(model, [source], tmp_path / "out.root", device="cpu", file_format="nanoaod")
    assert uproot.open(tmp_path / "out.root")["topmass"].num_entries == 10
    # The sum of the candidates is the jet: tracks and electromagnetic and neutral hadronic energy.
    convert(Path(source), tmp_path / "jets.parquet", file_format="nanoaod")
    assert len(read(tmp_path / "jets.parquet")) == 24


@needs_cms
def test_nanoaod_without_candidates_is_refused_in_one_line(tmp_path):
    with pytest.raises(BadInput, match=re.escape("no branch 'PFCands_pt' for candidate_pt")):
        convert(Path(f"{CMS_FILES}/nanoAOD_2015_ttbar.root"), tmp_path / "jets.parquet", file_format="nanoaod")
