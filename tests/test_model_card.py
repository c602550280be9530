"""The card of a model: that its numbers are those of the files, that its snippets run, and what it refuses."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import REPOSITORY
from evaluate import evaluate
from test_report import Run
from topmass.commands.write_card import write_model_card
from topmass.config.config_sources import ConfigSource
from topmass.config.configuration import configure
from topmass.config.run_metadata import citations, config_of
from topmass.evaluation.predictions import Intervals, Predictions
from topmass.evaluation.score import inclusive
from topmass.files import BadInput
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import ShardMeta

LAYERS = ("track_pt", "ecal", "hcal")
META = ShardMeta(LAYERS, (1, 1, 5), (1.0, 1.0, 1.0), 1e-5, "log", "made up")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Run:
    return Run(tmp_path_factory.mktemp("card") / "results")


@pytest.fixture
def results(made, tmp_path) -> Path:
    """The same results, to be spoilt."""
    return shutil.copytree(made.results, tmp_path / "results")


def write(results: Path, experiment: str = "laptop", changes: dict | None = None) -> str:
    """The card of the training `a`, which is told to be of this experiment of config.yaml."""
    config = configure([ConfigSource("here", changes or {})], look=False)
    folder = results / "train/a/1"
    files = (results / "evaluate/a/1/metrics.json", folder / "history.csv", folder / "training.json")
    training = json.loads(files[-1].read_text())
    if training:
        files[-1].write_text(json.dumps(training | {"config": config_of(config, experiment)}))
    write_model_card(folder / "MODEL.md", REPOSITORY, *files, citations(REPOSITORY / "CITATION.cff"))
    return (folder / "MODEL.md").read_text(encoding="utf-8")


def give_intervals(results: Path) -> None:
    """Score the training `a` anew, as one whose network gives intervals."""
    jets = Predictions.load(results / "predict/a/1/predictions.parquet")
    jets.intervals = Intervals(jets.predicted - 20, jets.predicted + 20, (0.16, 0.84))
    jets.save(results / "intervals.parquet")
    folder = results / "evaluate/a/1"
    files = (folder / "metrics.json", folder / "metrics.csv", folder / "summary.txt")
    bins = {"mass": [85, 300, 500], "pt": [400, 1200]}
    evaluate(results / "intervals.parquet", {}, *files, "a", 1, bins, 85, {"resamples": 20, "level": 0.68, "seed": 1})


def tables(card: str) -> list[list[list[str]]]:
    """All tables, by rows and cells."""
    found = re.findall(r"(?:^\|.*\|\n)+", card, re.M)
    return [[re.split(r" (?<!\\)\| ", line[2:-2]) for line in table.splitlines()] for table in found]


@pytest.mark.parametrize("experiment", ["laptop", "fast", "real", "top_gun"])
@pytest.mark.parametrize("intervals", [False, True])
def test_the_card_is_whole(results, experiment, intervals):
    if intervals:
        give_intervals(results)
    card = write(results, experiment)
    assert all(len({len(row) for row in table}) == 1 for table in tables(card))
    # One blank line stands between any two parts, in front of each table and behind it, and none at the end.
    assert "\n\n\n" not in card and not card.endswith("\n\n")
    assert not re.search(r"[^\n]\n\| .*\n\| ---", re.sub(r"^\|.*", "|", card, flags=re.M))
    assert not re.search(r"{{|{%|None|<|Undefined", card)
    assert ("coverage" in card) == intervals == ("Uncertainties per jet" not in card)


def test_the_scores_are_those_of_the_metrics(results):
    card = write(results)
    region = inclusive(json.loads((results / "evaluate/a/1/metrics.json").read_text()))
    ((_, _, *rows),) = [table for table in tables(card) if table[0][:2] == ["estimator", "MAE (GeV)"]]
    assert rows[0][0] == "network a, seed 1" and len(rows) == len(region["scores"])
    mae = region["scores"]["network"]["mae"]
    wanted = f"{mae['value']:.2f} [{mae['low']:.2f}, {mae['high']:.2f}]"
    assert rows[0][1] == wanted and f"**{mae['value']:.2f} GeV** [" in card


def test_the_jets_of_its_training_are_described(results):
    ((heads, _, row),) = [table for table in tables(write(results)) if table[0][0] == "quantity"]
    assert heads[1:3] == ["jets with a hit", "hits per jet"] and heads[-1] == "95% quantile"
    assert row == ["ecal (GeV)", "100%", "241.8", "0.13", "0.39", "7.8"]


def test_it_is_compared_with_trees_that_are_told_as_much(results):
    metrics = results / "evaluate/a/1/metrics.json"
    found = json.loads(metrics.read_text())
    number = {"value": -1.25, "low": -2, "high": -0.5}
    found["differences"] = {"trees_subjets": dict.fromkeys(("mae", "mre", "resolution", "bias"), number)}
    metrics.write_text(json.dumps(found))
    card = write(results)
    ((_, _, row),) = [table for table in tables(card) if table[0][0] == "difference"]
    assert row[:2] == ["network a, seed 1 − GBDT, subjet features", "−1.25 [−2.00, −0.50]"]
    assert "Differences on the same jets; in brackets the 68% interval, by bootstrap over events:\n\n|" in card


def test_the_limits_are_those_of_its_jets(results):
    simulated, tops, files = write(results), write(results, "real"), write(results, "top_gun")
    assert "fast detector" in simulated and "have no pile-up" in simulated and "masses of 85 to 500 GeV" in simulated
    assert "All training jets are from top quarks" in simulated
    assert "30 further collisions" in tops and "`qcd_training`, whose target" in tops
    assert "no pile-up" not in tops and "All training jets" not in tops
    assert "fast detector" not in files and "pile-up" in files and "top_gun_opendata_6.parquet" in files


def test_a_network_that_loses_is_told_so(results):
    metrics = results / "evaluate/a/1/metrics.json"
    found = json.loads(metrics.read_text())
    inclusive(found)["scores"]["network"]["mae"] = {"value": 300, "low": 290, "high": 310}
    metrics.write_text(json.dumps(found))
    assert "**Warning: the network (MAE 300.00 [290.00, 310.00] GeV) is not better than" in write(results)


def snippets(card: str) -> list[str]:
    """What is to be done in Python: by this project, and in ONNX Runtime."""
    return re.findall(r"^```python\n(.*?)^```", card, re.M | re.S)


def run(snippet: str, folder: Path) -> str:
    """Return the standard output of a snippet that runs in the folder of the card."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "workflow/scripts")}
    ended = subprocess.run([sys.executable, "-c", snippet], cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_snippet_for_python_runs(results):
    TrainedModel.new({"name": "resnet15", "downsample": 8}, META, (0.16, 0.5, 0.84)).save(
        results / "train/a/1/model.safetensors"
    )
    said = run(snippets(write(results))[0], results / "train/a/1")
    assert said.endswith("layers: track_pt ecal hcal\nquantiles: 0.16 0.5 0.84\n")


@pytest.mark.parametrize("position", ["ieta_iphi", "none"])
def test_the_snippet_for_onnxruntime_runs(results, position):
    inputs = {"image": ["N", len(LAYERS), 125, 125]}
    inputs |= {"ieta": ["N"], "iphi": ["N"]} if position != "none" else {}
    nodes = [helper.make_node("ReduceMax", ["image"], ["mass"], axes=[1, 2, 3], keepdims=0)]
    graph = helper.make_graph(
        nodes,
        "made up",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("mass", TensorProto.FLOAT, ["N"])],
    )
    path = results / "train/a/1/exported/model.onnx"
    path.parent.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    sample = {"files": [{"path": "mine.parquet"}], "layers": list(LAYERS), "position": position}
    changes = {"samples": {"mine": sample}, "datasets": {"flat": {"sample": "mine"}}}
    snippet = snippets(write(results, changes=changes))[1]
    assert run(snippet, results / "train/a/1") == f"{np.zeros(2, np.float32)}\n"


def test_what_the_card_names_for_cpp_is_there(results):
    named = re.findall(r"docs/cpp[\w/.]*", write(results))
    assert {"docs/cpp", "docs/cpp/README.md", "docs/cpp/write_jets.py"} <= set(named)
    assert all((REPOSITORY / each).exists() for each in named)


def test_the_citations_are_those_of_the_repository(results):
    card = write(results)
    assert "- The topmass developers: topmass, version" in card
    for doi in re.findall(r"doi: (\S+)", (REPOSITORY / "CITATION.cff").read_text()):
        assert f"doi:{doi}\n" in card


@pytest.mark.parametrize("file", ["evaluate/a/1/metrics.json", "train/a/1/history.csv", "train/a/1/training.json"])
def test_a_damaged_file_is_named_and_no_card_is_written(results, file):
    (results / file).write_text("{}")
    with pytest.raises(BadInput, match=f"{file}: ") as error:
        write(results)
    assert "\n" not in str(error.value) and not (results / "train/a/1/MODEL.md").exists()
