"""`snakemake predict`: what the configuration may say, and what comes of it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from conftest import REPOSITORY, make_jets
from predict_jets import predict_jets
from test_predict_jets import NAMES, THREE, VINTAGE, only, save_model, write_dense
from topmass.files import BadInput
from topmass.workflow.configuration import configure
from topmass.workflow.predicting import UNASKED, file_of_masses
from topmass.workflow.reading import Layer

URL = "https://example.org/more.parquet"


def asked(**predict) -> dict:
    return configure([Layer("mine.yaml", {"predict": predict})])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a model and two parts of jets."""
    save_model(tmp_path / "model.safetensors")
    for i in range(2):
        write_dense(tmp_path / f"jets/{i}.parquet", only(make_jets(5, i), THREE), THREE, columns=VINTAGE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_is_predicted_unless_it_is_asked_for():
    assert configure([])["predict"] is None and file_of_masses(configure([])) == UNASKED


@pytest.mark.parametrize(
    ("predict", "meant", "file"),
    [
        ({"model": "fast/1", "jets": "gun"}, [{"sample": "gun"}], "fast/1/gun"),
        ({"model": "model.safetensors", "jets": "jets/1.parquet"}, [{"path": "jets/1.parquet"}], "model/1"),
        (
            {"model": "fast/2", "jets": ["jets", URL, "gun"]},
            [{"path": "jets/0.parquet"}, {"path": "jets/1.parquet"}, {"url": URL}, {"sample": "gun"}],
            "fast/2/0",
        ),
    ],
)
def test_jets_are_samples_files_folders_and_urls(predict, meant, file, folder):
    config = asked(**predict)
    assert config["predict"]["jets"] == meant
    assert file_of_masses(config) == f"results/predicted/{file}.parquet"
    assert ("predict" in config["samples"]) == ({"url": URL} in meant)


WRONG = {
    "a model of nowhere": ({"model": "fast/x", "jets": "jets"}, "predict.model: fast/x (in "),
    "jets of nowhere": ({"model": "fast/1", "jets": ["jets", "gnu"]}, "predict.jets: gnu (in "),
    "no jets": ({"model": "fast/1", "jets": []}, "predict.jets: [] "),
    "no model": ({"jets": "jets"}, "predict: 'model' is a required property"),
    "a layer that is none": ({"model": "fast/1", "jets": "jets", "layers": ["muon"]}, "'muon' is not one of"),
    "a mass, which nobody asks for": (
        {"model": "fast/1", "jets": "jets", "columns": {"mass": "m"}},
        "predict.columns: 'mass' is not one of",
    ),
}


@pytest.mark.parametrize(("predict", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_predicted_is_refused_with_its_key(predict, message, folder):
    with pytest.raises(BadInput) as error:
        asked(**predict)
    assert str(error.value).startswith("mine.yaml: predict") and message in str(error.value)


def test_a_sample_may_not_have_the_name_of_the_downloads():
    own = {"predict": {"files": [{"url": "https://example.org/own.parquet"}]}}
    with pytest.raises(BadInput, match=r"samples\.predict: .* rename it"):
        configure([Layer("mine.yaml", {"samples": own, "predict": {"model": "fast/1", "jets": URL}})])


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "predict", "--cores", "1", "--snakefile", REPOSITORY / "Snakefile"]
    return subprocess.run([*command, *arguments], cwd=folder, text=True, capture_output=True)


@pytest.mark.slow
def test_snakemake_predicts_what_the_script_does(folder):
    predict = {"model": "model.safetensors", "jets": "jets", "layers": NAMES}
    mine = {"predict": predict, "compute": {"device": "cpu", "precision": "float32"}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(mine))
    ended = snakemake(folder, "--configfile", "mine.yaml")
    assert ended.returncode == 0, ended.stderr
    found = pq.read_table(folder / "results/predicted/model/0.parquet")
    predict_jets(folder / "model.safetensors", ["jets"], folder / "out.parquet", NAMES, {}, "cpu", "float32")
    assert np.allclose(found["predicted"], pq.read_table(folder / "out.parquet")["predicted"], rtol=1e-5)
    assert "Nothing to be done" in snakemake(folder, "--configfile", "mine.yaml").stderr


@pytest.mark.slow
def test_snakemake_trains_and_downloads_what_is_missing_and_says_what_to_give(folder):
    (folder / "mine.yaml").write_text(yaml.safe_dump({"predict": {"model": "tiny/1", "jets": ["gun", URL]}}))
    tiny = ("--configfile", str(REPOSITORY / "tests/tiny.yaml"), "mine.yaml", "--dry-run")
    ended = snakemake(folder, *tiny)
    assert ended.returncode == 0, ended.stderr
    jobs = ended.stdout + ended.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", jobs, re.MULTILINE))
    assert all(counts[rule] == "1" for rule in ("train", "download", "predict")) and "predict_test" not in counts
    ended = snakemake(folder)
    assert ended.returncode == 1 and ended.stderr.splitlines()[-1].startswith("nothing to predict: say in a file")
