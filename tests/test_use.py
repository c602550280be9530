"""Uses of the workflow other than in its own folder: results elsewhere, a part of another workflow, REANA."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY, make_jets
from topmass.jets import JetTable, write_jets
from topmass.layers import LAYERS

# Up to the shards: what is asked here is where files are found, and where they go.
TARGET = "results/shards/flat/test/00000.npz"
OWN = ("configuration", "imports", "turns", "reading")
"""Modules that another workflow has, of names that anybody may give."""
ANOTHER_WORKFLOW = """
import {own}

configfile: "mine.yaml"


module topmass:
    snakefile:
        "{repository}/Snakefile"
    config:
        config["topmass"]
    prefix:
        "jets"


use rule * from topmass as topmass_*


rule count:
    input:
        "jets/{target}",
    output:
        "size.txt",
    shell:
        "wc -c < {{input}} > {{output}}"
"""


def snakemake(folder: Path, *arguments: str) -> str:
    """Snakemake, called in this folder."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    completed = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert completed.returncode == 0, completed.stdout
    return completed.stdout


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A copy of the repository, which a run could write into."""
    repository = tmp_path_factory.mktemp("clone") / "topmass"
    kept = shutil.ignore_patterns(".git", ".venv", ".cache", "results", ".snakemake", ".*_cache", "*.part")
    shutil.copytree(REPOSITORY, repository, ignore=kept)
    return repository


@pytest.fixture(scope="module")
def elsewhere(repository, tmp_path_factory) -> Path:
    """A folder in which the workflow was run with `--directory`, called from a third one."""
    folder = tmp_path_factory.mktemp("elsewhere")
    before = files(repository)
    tiny = ("--configfile", str(repository / "tests/tiny.yaml"))
    place = ("--snakefile", str(repository / "Snakefile"), "--directory", str(folder))
    snakemake(tmp_path_factory.mktemp("third"), TARGET, *place, *tiny)
    assert {name for name in files(repository) - before if "__pycache__" not in name} == set()
    return folder


@pytest.mark.slow
def test_with_directory_everything_is_written_there(elsewhere):
    assert (elsewhere / TARGET).exists() and (elsewhere / "results/log/simulate/gun/00000.log").exists()


@pytest.mark.slow
def test_the_snakefile_in_the_folder_of_the_workflow_is_the_same_workflow(repository, elsewhere):
    place = ("--snakefile", str(repository / "workflow/Snakefile"), "--configfile", str(repository / "tests/tiny.yaml"))
    assert "Nothing to be done" in snakemake(elsewhere, TARGET, "--dry-run", *place)


@pytest.mark.slow
def test_results_may_be_a_link_to_scratch(repository, elsewhere, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "scratch").mkdir()
    (tmp_path / "run/results").symlink_to(tmp_path / "scratch")
    place = ("--snakefile", str(repository / "Snakefile"), "--configfile", str(repository / "tests/tiny.yaml"))
    snakemake(tmp_path / "run", TARGET, *place)
    assert (tmp_path / "run/results").is_symlink()
    on_scratch = tmp_path / "scratch" / TARGET.removeprefix("results/")
    assert on_scratch.read_bytes() == (elsewhere / TARGET).read_bytes()
    # And the files may move on to a larger disk, with the link.
    shutil.copytree(tmp_path / "scratch", tmp_path / "larger", copy_function=shutil.copy2)
    (tmp_path / "run/results").unlink()
    (tmp_path / "run/results").symlink_to(tmp_path / "larger")
    assert "Nothing to be done" in snakemake(tmp_path / "run", TARGET, "--dry-run", *place)


@pytest.mark.slow
def test_another_workflow_may_use_this_one_as_a_module(repository, elsewhere, tmp_path):
    (tmp_path / "topmass").symlink_to(repository)
    for name in OWN:
        (tmp_path / f"{name}.py").touch()
    text = ANOTHER_WORKFLOW.format(own=", ".join(OWN), repository="topmass", target=TARGET)
    (tmp_path / "Snakefile").write_text(text)
    write_jets(tmp_path / "own.parquet", [make_jets(20)], LAYERS, {})
    overlay = yaml.safe_load((repository / "tests/tiny.yaml").read_text())
    overlay["samples"]["own"] = {"files": [{"path": "own.parquet"}], "blocks_per_file": 1}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"topmass": overlay}))
    snakemake(tmp_path, "count")
    assert (tmp_path / "jets" / TARGET).read_bytes() == (elsewhere / TARGET).read_bytes()
    assert int((tmp_path / "size.txt").read_text()) == os.path.getsize(elsewhere / TARGET)
    # These two stages read settings besides their parameters.
    snakemake(tmp_path, "jets/results/predict/tiny/1/predictions.parquet")
    # Our files lie behind the prefix, the user's own do not.
    snakemake(tmp_path, "jets/results/jets/own/00000.parquet")
    assert len(JetTable(tmp_path / "jets/results/jets/own/00000.parquet")) == 20
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_group_simulates_a_block_once(repository, elsewhere, tmp_path, monkeypatch):
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    place = (
        "--snakefile",
        str(repository / "Snakefile"),
        "--configfile",
        str(repository / "tests/tiny.yaml"),
        "--cache",
    )
    for user, blocks in (("first", 3), ("second", 0)):
        (tmp_path / user).mkdir()
        said = snakemake(tmp_path / user, TARGET, *place)
        assert (tmp_path / user / TARGET).read_bytes() == (elsewhere / TARGET).read_bytes()
        # Besides the few jets of the trial, which everyone makes.
        assert said.count("jets/s") - 1 == blocks


def test_the_description_for_reana_names_what_is_there():
    reana = yaml.safe_load((REPOSITORY / "reana.yaml").read_text())
    assert reana["workflow"] == {"type": "snakemake", "file": "Snakefile"}
    for name in [*reana["inputs"]["files"], *reana["inputs"]["directories"], reana["inputs"]["parameters"]["input"]]:
        assert (REPOSITORY / name).exists(), name
    # All that a run reads is sent along.
    assert {"workflow", "profiles", "envs"} <= set(reana["inputs"]["directories"])
    assert reana["outputs"]["files"] == ["results/report.html"]
