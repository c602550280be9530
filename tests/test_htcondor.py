"""The HTCondor profile and plugin against the stand-in pool of condor_standin.py: no daemon of HTCondor takes part."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY
from extra_packages import extra_packages

pytestmark = [pytest.mark.slow, pytest.mark.lab]


@pytest.fixture(scope="module")
def plugin() -> Path:
    return extra_packages("htcondor", "-r", str(REPOSITORY / "envs/htcondor.txt"))


def submit(plugin: Path, folder: Path, *arguments: str, gpus: int = 1, **settings) -> tuple[int, str]:
    """The small workflow in this folder, through the stand-in pool: status, and what was said."""
    profile = yaml.safe_load((REPOSITORY / "profiles/htcondor/config.v9+.yaml").read_text())
    profile["set-resources"]["train"]["request_gpus"] = gpus
    profile["set-threads"] = {"train": 2, "predict_test": 2}
    profile |= {"seconds-between-status-checks": 1, "latency-wait": 5, "htcondor-held-timeout": 1, **settings}
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site/config.v9+.yaml").write_text(yaml.safe_dump(profile))
    command = [sys.executable, REPOSITORY / "tests/condor_standin.py", "--directory", folder]
    command += ["--snakefile", REPOSITORY / "Snakefile", "--configfile", REPOSITORY / "tests/tiny.yaml"]
    command += ["--workflow-profile", folder / "site", *arguments]
    environment = os.environ | {"PYTHONPATH": str(plugin)}
    ended = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return ended.returncode, ended.stdout


@pytest.fixture(scope="module")
def run(plugin, tmp_path_factory) -> tuple[Path, str]:
    """The small workflow, once."""
    folder = tmp_path_factory.mktemp("condor")
    status, said = submit(plugin, folder)
    assert status == 0, said
    return folder, said


@pytest.fixture
def copy(run, tmp_path) -> Path:
    """A copy of what that run has left, to do damage in."""
    for name in ("results", ".snakemake"):
        shutil.copytree(run[0] / name, tmp_path / name)
    return tmp_path


def asked_for(said: str) -> list[dict[str, int]]:
    """What each job's ad asked the stand-in pool for, in order."""
    found = re.findall(r"stand-in pool: job \d+ asks for \{(.*)\}", said)
    return [{name: int(value) for name, value in re.findall(r"'Request(\w+)': (\d+)", text)} for text in found]


def test_the_workflow_ends_with_figures(run):
    folder, said = run
    assert (folder / "results/report.html").exists() and "best constant for MAE" in said


def test_jobs_ask_for_what_the_profile_says(run):
    asked = asked_for(run[1])
    assert {"Cpus": 2, "Memory": 16000, "GPUs": 1} in asked  # training
    assert {"Cpus": 3, "Memory": 3000} in asked  # three blocks of shards, side by side
    assert sum("GPUs" in job for job in asked) == 2  # and prediction


def test_members_of_a_group_run_in_parallel(run):
    (log,) = (run[0] / ".snakemake/htcondor/shards_make_shards").glob("*.err")
    # As many as there are cores here.
    assert re.search("Execute [23] jobs", log.read_text()) or os.cpu_count() == 1


def test_a_job_that_no_node_can_take_is_held_and_fails_with_the_reason(plugin, copy):
    status, said = submit(plugin, copy, "--forcerun", "train", gpus=3, retries=0)
    assert status == 1 and re.search(r"has been held .* no node of the stand-in pool meets", said)


def test_a_job_that_takes_too_long_is_held_and_submitted_again(plugin, copy):
    resources = ("--set-resources", "train:allowed_execute_duration=1")
    status, said = submit(plugin, copy, *resources, "--forcerun", "train", retries=1)
    held = re.findall(r"Cluster ID (\d+) has been held .* exceeded allowed execute duration of 1 seconds", said)
    assert status == 1 and set(held) == {"1", "2"}


def test_a_job_that_fails_is_submitted_again_with_more_memory(plugin, copy):
    table = copy / "results/jets/gun/00001.parquet"
    table.write_bytes(table.read_bytes()[:-50])
    status, said = submit(plugin, copy, "--forcerun", "compute_statistics", retries=1)
    assert status == 1 and "completed but failed with ExitCode 1" in said
    assert "00001.parquet: not a complete parquet file" in said
    assert [job["Memory"] for job in asked_for(said)] == [1500, 3000]
