"""The trained network in models/real/: its checksum, its card, and its predictions."""

import hashlib
import re

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from conftest import REPOSITORY
from simulate import simulate
from test_root_input import CMS_FILES, needs_cms
from topmass.commands.predict_jets import predict_jets
from topmass.config.config_sources import ConfigSource
from topmass.config.configuration import configure
from topmass.models.trained_model import TrainedModel

FOLDER = REPOSITORY / "models/real"
MODEL = FOLDER / "model.safetensors"
CONFIG = configure([ConfigSource("here", {})], look=False)
LARGEST = 3_000_000
"""Bytes; git keeps every version of the file."""


def test_the_checksum_is_that_of_the_file_and_of_the_card():
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    card = (FOLDER / "MODEL.md").read_text("utf-8")
    assert (FOLDER / "SHA256SUMS").read_text() == f"{digest}  model.safetensors\n"
    (beginning,) = re.findall(r"SHA-256 that begins with `(\w{8,})`", card)
    assert digest.startswith(beginning) and MODEL.stat().st_size < LARGEST
    assert "uncommitted" not in card


def test_it_is_the_network_of_the_configuration():
    model = TrainedModel.load(MODEL)
    experiment, dataset = CONFIG["experiments"]["real"], CONFIG["datasets"]["real"]
    assert list(model.shards.layers) == dataset["layers"] and list(model.quantiles) == experiment["recipe"]["quantiles"]
    assert experiment["network"].items() <= model.settings.items()
    card = (FOLDER / "MODEL.md").read_text("utf-8")
    for sample in (CONFIG["samples"][dataset[name]] for name in ("sample", "background")):
        assert f"{sample['jets']:,} jets simulated with seed {sample['seed']}" in card


def test_no_path_of_a_machine_is_in_it():
    assert not re.search(rb"/(home|tmp|work|root|scratch)/", MODEL.read_bytes() + (FOLDER / "MODEL.md").read_bytes())


@pytest.mark.lab
def test_simulated_top_quarks_have_their_mass(tmp_path):
    simulate(tmp_path / "jets.parquet", 0, 200, 12, CONFIG["samples"]["ttbar"]["simulate"])
    predict_jets(MODEL, [str(tmp_path / "jets.parquet")], tmp_path / "masses.parquet", device="cpu")
    table = pq.read_table(tmp_path / "masses.parquet").to_pandas()
    error, constant = (table["mass"] - table["predicted"]).abs(), (table["mass"] - table["mass"].median()).abs()
    assert error.mean() < 0.8 * constant.mean()
    assert 0.55 < np.mean((table["low"] < table["mass"]) & (table["mass"] < table["high"])) < 0.9


@needs_cms
def test_jets_of_cms_are_outside_its_training(tmp_path, said):
    predict_jets(MODEL, [f"{CMS_FILES}/pfnano.root"], tmp_path / "masses.root", device="cpu", file_format="nanoaod")
    masses = uproot.open(tmp_path / "masses.root")["topmass"]["topmass"].array()
    assert ak.all(np.isfinite(masses)) and ak.count(masses) == 24
    (pt,) = [line for line in said().splitlines() if line.startswith("pt (GeV)")]
    assert "unlike" in pt or "far off" in pt
