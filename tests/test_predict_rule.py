"""`snakemake predict`: what the configuration may say, and what comes of it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from conftest import REPOSITORY, make_jets
from test_predict_jets import NAMES, THREE, VINTAGE, only, save_model, write_dense
from topmass.commands.predict_jets import predict_jets
from topmass.config.config_sources import ConfigSource
from topmass.config.configuration import configure
from topmass.config.cross_checks import file_name
from topmass.config.predict_config import DEFAULT_OUTPUT, file_of_masses, label
from topmass.files import BadInput

URL = "https://example.org/more.parquet"
MORE = {"url": URL, "name": f"{label(URL)}.parquet"}


def asked(**predict) -> dict:
    return configure([ConfigSource("mine.yaml", {"predict": predict})])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a model and two parts of jets."""
    save_model(tmp_path / "model.safetensors")
    for i in range(2):
        write_dense(tmp_path / f"jets/{i}.parquet", only(make_jets(5, i), THREE), THREE, columns=VINTAGE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_is_predicted_unless_it_is_asked_for():
    assert configure([])["predict"] is None and file_of_masses(configure([])) == DEFAULT_OUTPUT


@pytest.mark.parametrize(
    ("predict", "meant", "file"),
    [
        ({"model": "fast/1", "jets": "gun"}, [{"sample": "gun"}], "fast/1/gun"),
        (
            {"model": "model.safetensors", "jets": "jets/1.parquet"},
            [{"path": "jets/1.parquet"}],
            "model-HASH/jets_1-HASH",
        ),
        (
            {"model": "fast/2", "jets": ["jets", URL, "gun"]},
            [{"path": "jets/0.parquet"}, {"path": "jets/1.parquet"}, MORE, {"sample": "gun"}],
            "fast/2/jets-HASH",
        ),
    ],
)
def test_jets_are_samples_files_folders_and_urls(predict, meant, file, folder):
    config = asked(**predict)
    assert config["predict"]["jets"] == meant
    pattern = re.escape(f"results/predicted/{file}.parquet").replace("HASH", "[0-9a-f]{8}")
    assert re.fullmatch(pattern, file_of_masses(config))
    assert ("predict" in config["samples"]) == (MORE in meant)


APART = [
    {"jets": "day1/jets.parquet"},
    {"jets": "day2/jets.parquet"},
    {"jets": "day1"},
    {"jets": ["day1/jets.parquet", "day2/jets.parquet"]},
    {"jets": ["day2/jets.parquet", "day1/jets.parquet"]},
    {"jets": "gun"},
    {"jets": "./gun"},
    {"jets": ["gun", "day1"]},
    {"jets": "a b/jets.v1.parquet"},
    {"jets": "a_b/jets.v1.parquet"},
    {"jets": "a_b/jets.v2.parquet"},
    {"jets": "https://example.org/day1/jets.parquet"},
    {"jets": "https://example.org/day2/jets.parquet"},
    {"jets": "https://example.net/day2/jets.parquet"},
    {"jets": "https://example.org/jets?day=1"},
    {"jets": "https://example.org/jets?day=2"},
    {"jets": "gun", "model": "old/model.safetensors"},
    {"jets": "gun", "model": "new/model.safetensors"},
    {"jets": "gun", "model": "fast/2"},
]


@pytest.fixture
def days(folder) -> Path:
    """Files of the same name in several folders, and one named like a sample."""
    for path in ("day1/jets", "day2/jets", "a b/jets.v1", "a_b/jets.v1", "a_b/jets.v2", "gun"):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "jets/0.parquet", folder / (path if path == "gun" else f"{path}.parquet"))
    for path in ("old", "new"):
        (folder / path).mkdir()
        shutil.copy(folder / "model.safetensors", folder / path)
    return folder


def test_other_jets_and_other_models_have_another_output(days):
    outputs = [file_of_masses(asked(**({"model": "fast/1"} | predict))) for predict in APART]
    assert len(set(outputs)) == len(APART) and not [each for each in outputs if re.search(r"[^\w./-]", each)]
    assert outputs[APART.index({"jets": "gun"})] == "results/predicted/fast/1/gun.parquet"
    assert "/day1_jets-" in outputs[0] and "/day2_jets-" in outputs[1]


@pytest.mark.parametrize("same", ["./day1/jets.parquet", "day1/../day1/jets.parquet", "$HERE/jets.parquet"])
def test_the_same_jets_have_the_same_output_however_they_are_written(same, days, monkeypatch):
    monkeypatch.setenv("HERE", "day1")
    first, second = (file_of_masses(asked(model="fast/1", jets=jets)) for jets in ("day1/jets.parquet", same))
    assert first == second


def test_urls_that_end_alike_are_downloaded_to_files_of_their_own(days):
    urls = [f"https://user:secret@example.org/day{day}/jets.parquet" for day in (1, 2)]
    config = asked(model="fast/1", jets=urls)
    names = [file_name(file) for file in config["samples"]["predict"]["files"]]
    assert len(set(names)) == 2 and "secret" not in "".join([*names, file_of_masses(config)])


def test_a_url_that_is_none_is_refused(folder):
    with pytest.raises(BadInput, match="no URL: "):
        asked(model="fast/1", jets="https://[example.org/jets.parquet")


def test_a_file_name_is_not_longer_than_file_systems_take(folder):
    long = folder / ("ä" * 100) / f"{'x' * 240}.parquet"
    long.parent.mkdir()
    shutil.copy(folder / "jets/0.parquet", long)
    assert len(Path(file_of_masses(asked(model="fast/1", jets=str(long)))).name) < 100


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
        configure([ConfigSource("mine.yaml", {"samples": own, "predict": {"model": "fast/1", "jets": URL}})])


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "predict", "--cores", "1", "--snakefile", REPOSITORY / "Snakefile"]
    return subprocess.run([*command, *arguments], cwd=folder, text=True, capture_output=True)


@pytest.mark.parametrize("jets", ["gun", URL])
def test_the_complete_configuration_is_valid_without_its_predictions(jets):
    # The rule `workflow_report` starts Snakemake with it.
    complete = asked(model="fast/1", jets=jets)
    again = configure([ConfigSource("complete", {**complete, "predict": None})])
    assert again["samples"].keys() == complete["samples"].keys() and again["run"] == complete["run"]


@pytest.mark.slow
def test_snakemake_predicts_what_the_script_does(folder):
    predict = {"model": "model.safetensors", "jets": "jets", "layers": NAMES}
    mine = {"predict": predict, "compute": {"device": "cpu", "precision": "float32"}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(mine))
    completed = snakemake(folder, "--configfile", "mine.yaml")
    assert completed.returncode == 0, completed.stderr
    (output,) = (folder / "results/predicted").glob("model-*/jets-*.parquet")
    found = pq.read_table(output)
    predict_jets(folder / "model.safetensors", ["jets"], folder / "out.parquet", NAMES, {}, "cpu", "float32")
    assert np.allclose(found["predicted"], pq.read_table(folder / "out.parquet")["predicted"], rtol=1e-5)
    assert "Nothing to be done" in snakemake(folder, "--configfile", "mine.yaml").stderr


@pytest.mark.slow
def test_snakemake_trains_and_downloads_what_is_missing_and_says_what_to_give(folder):
    (folder / "mine.yaml").write_text(yaml.safe_dump({"predict": {"model": "tiny/1", "jets": ["gun", URL]}}))
    tiny = ("--configfile", str(REPOSITORY / "tests/tiny.yaml"), "mine.yaml", "--dry-run")
    completed = snakemake(folder, *tiny)
    assert completed.returncode == 0, completed.stderr
    jobs = completed.stdout + completed.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", jobs, re.MULTILINE))
    assert all(counts[rule] == "1" for rule in ("train", "download", "predict")) and "predict_test" not in counts
    completed = snakemake(folder)
    assert completed.returncode == 1 and completed.stderr.splitlines()[-1].startswith(
        "nothing to predict; to fix: set model and jets"
    )
