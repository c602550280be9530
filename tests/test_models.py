"""The trained network in models/real/: its checksum, its card, and its predictions."""

import hashlib
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

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
    assert (FOLDER / "SHA256SUMS").read_text() == f"{digest}  model.safetensors\n"
    (beginning,) = re.findall(r"SHA-256 that begins with `(\w{8,})`", (FOLDER / "MODEL.md").read_text("utf-8"))
    assert digest.startswith(beginning) and MODEL.stat().st_size < LARGEST


def test_it_is_the_network_of_the_configuration():
    model = TrainedModel.load(MODEL)
    experiment, dataset = CONFIG["experiments"]["real"], CONFIG["datasets"]["real"]
    assert list(model.shards.layers) == dataset["layers"] and list(model.quantiles) == experiment["recipe"]["quantiles"]
    assert experiment["network"].items() <= model.network.items()


def test_no_path_of_a_machine_is_in_it():
    assert not re.search(rb"/(home|tmp|work|root|scratch)/", MODEL.read_bytes() + (FOLDER / "MODEL.md").read_bytes())


@pytest.mark.lab
def test_top_quarks_have_their_mass(tmp_path):
    simulate(tmp_path / "jets.parquet", 7, 200, 12, CONFIG["samples"]["ttbar_172"]["simulate"])
    predict_jets(MODEL, [str(tmp_path / "jets.parquet")], tmp_path / "masses.parquet", device="cpu")
    table = pq.read_table(tmp_path / "masses.parquet").to_pandas()
    # The median of 200 jets has an error of 2 GeV.
    assert abs(table["predicted"].median() - 172.5) < 12
    assert 0.6 < np.mean((table["low"] < table["mass"]) & (table["mass"] < table["high"])) < 0.95
    assert np.std(table["predicted"]) < np.std(table["softdrop_mass"])


@needs_cms
def test_jets_of_cms_are_outside_its_training(tmp_path, capsys):
    predict_jets(MODEL, [f"{CMS_FILES}/pfnano.root"], tmp_path / "masses.parquet", device="cpu", file_format="nanoaod")
    assert np.isfinite(pq.read_table(tmp_path / "masses.parquet")["predicted"]).all()
    (pt,) = [line for line in capsys.readouterr().out.splitlines() if "pt (GeV)" in line and "track" not in line]
    assert "unlike" in pt or "far off" in pt
