"""The small workflow on a real SLURM: GPUs held and refused, jobs grouped, killed and put back.

One run is watched from start to end, since each job through SLURM takes some seconds; each test asks one thing of
what was seen.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY
from slurm_cluster import cluster, jobs, told, why_not

pytestmark = [pytest.mark.slow, pytest.mark.lab, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

# Enough epochs to be killed in. In one thread a training repeats itself to the last bit.
CONFIGURATION = {"compute": {"device": "cpu"}, "experiments": {"tiny": {"recipe": {"epochs": 600}}}}


def site_profile(folder: Path, gpus: int) -> str:
    """A copy of the profile, with what docs/cluster.md lets a site change, and with less patience than a site has."""
    profile = yaml.safe_load((REPOSITORY / "profiles/slurm/config.v9+.yaml").read_text())
    # The network trains on the CPU here, and so the configuration asks for no GPU.
    profile["set-resources"]["train"]["gpu"] = gpus
    profile["set-threads"] = {"train": 1, "predict_test": 1, "train_gbdt": 1}
    # Too little, at first.
    profile["set-resources"]["predict_test"]["mem_mb"] = "300 * attempt"
    profile |= {"slurm-init-seconds-before-status-checks": 1, "seconds-between-status-checks": 1, "latency-wait": 5}
    profile |= {"slurm-keep-successful-logs": True, "retries": 3 if gpus < 3 else 0}
    path = folder / f"{gpus}_gpus/config.v9+.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(profile))
    return str(path.parent)


def command(folder: Path, *arguments: str) -> list[str]:
    """The workflow in this folder."""
    (folder / "epochs.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    files = ["--configfile", str(REPOSITORY / "tests/tiny.yaml"), str(folder / "epochs.yaml")]
    place = ["--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(folder)]
    return [sys.executable, str(REPOSITORY / "tests/impatient_snakemake.py"), *place, *files, *arguments]


@dataclass
class Watch:
    """What was seen of one run."""

    folder: Path
    said: str = ""
    seconds: float = 0
    jobs: dict = field(default_factory=dict)
    """Last state of every job."""
    trainings: list = field(default_factory=list)
    """Each running training, as it was first seen, and what its node said of its GPUs then."""
    kills: list = field(default_factory=list)
    """The numbers of the jobs that were killed."""

    def look(self) -> None:
        """Note the state of all jobs; kill a training that has a checkpoint, in another way each time."""
        for number, job in jobs().items():
            self.jobs[number] = job
            # With its wildcards: the rule `train_gbdt` begins alike.
            training = job["Comment"].startswith("rule_train_wildcards") and job["JobState"] == "RUNNING"
            if training and (number, job["Restarts"]) not in [
                (one, seen["Restarts"]) for one, seen, _ in self.trainings
            ]:
                self.trainings.append((number, job, told("scontrol", "--details", "show", "node")))
            if training and len(self.kills) < min(len(self.trainings), 3) and self.checkpoint_of_now():
                self.kill(number)

    def checkpoint_of_now(self) -> bool:
        """Whether the training that runs now has written a checkpoint."""
        log = self.folder / "results/log/train/tiny/1.log"
        there = (self.folder / "results/checkpoints/tiny/1/checkpoint.safetensors").exists()
        return there and log.exists() and ": loss" in log.read_text() and log.stat().st_mtime > self.began()

    def began(self) -> float:
        """When the last training was put onto its node."""
        return time.mktime(time.strptime(self.trainings[-1][1]["StartTime"], "%Y-%m-%dT%H:%M:%S"))

    def kill(self, number: int) -> None:
        """By its time limit, then by a signal, then as pre-emption does."""
        self.kills.append(number)
        if len(self.kills) == 1:
            # The profile asks for a signal two minutes ahead of the limit; SLURM looks twice a minute.
            minutes = int(time.time() - self.began()) // 60 + 2
            told("scontrol", "update", f"JobId={number}", f"TimeLimit={minutes}")
        elif len(self.kills) == 2:
            told("scancel", "--signal=TERM", str(number))
        else:
            told("scontrol", "requeue", str(number))
            deadline = time.monotonic() + 60
            while jobs()[number]["JobState"] != "PENDING":
                assert time.monotonic() < deadline, jobs()[number]
                time.sleep(0.1)
            # A job that is put back waits for two minutes.
            told("scontrol", "update", f"JobId={number}", "StartTime=now")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[None]:
    with cluster(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="module")
def run(slurm, tmp_path_factory) -> Watch:
    """The small workflow through SLURM, its training killed twice."""
    watch = Watch(tmp_path_factory.mktemp("run"))
    began = time.monotonic()
    with (watch.folder / "said").open("w+") as said:
        profile = ("--workflow-profile", site_profile(watch.folder, gpus=1))
        run = subprocess.Popen(command(watch.folder, *profile), stdout=said, stderr=subprocess.STDOUT)
        try:
            while run.poll() is None:
                assert time.monotonic() < began + 900, watch.jobs
                watch.look()
                time.sleep(0.3)
        finally:
            run.kill()
    watch.said, watch.seconds = (watch.folder / "said").read_text(), time.monotonic() - began
    assert run.returncode == 0, watch.said
    print(f"the small workflow took {watch.seconds:.0f} seconds through SLURM")
    return watch


def test_the_workflow_ends_with_figures_and_has_nothing_left_to_do(run):
    assert (run.folder / "results/report.html").exists()
    again = subprocess.run(command(run.folder, "--dry-run"), capture_output=True, text=True, check=True)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_the_training_holds_one_of_the_two_gpus_while_it_runs(run):
    _, job, node = run.trainings[0]
    assert job["Partition"] == "gpu" and job["TresPerJob"] == "gres:gpu:1"
    assert "Gres=gpu:pretended:2" in node and "GresUsed=gpu:pretended:1(IDX:0)" in node


def test_blocks_run_in_parallel(run):
    shards = [job for job in run.jobs.values() if job["Comment"].startswith("rule_make_shards")]
    assert [job["JobState"] for job in shards] == ["COMPLETED"] * 3
    assert max(job["StartTime"] for job in shards) < min(job["EndTime"] for job in shards)


def test_figures_are_one_job_of_one_core(run):
    (figures,) = (job for job in run.jobs.values() if job["Comment"].startswith("rule_figures"))
    assert figures["JobState"] == "COMPLETED" and figures["NumCPUs"] == "1"


def test_a_training_that_is_killed_goes_on_and_ends_with_the_same_weights(run, tmp_path):
    numbers = [number for number, _, _ in run.trainings]
    states = [run.jobs[number]["JobState"] for number in numbers]
    # After its limit and after a signal Snakemake submits again; a job that is put back keeps its number.
    assert len(run.kills) == 3 and numbers[0] < numbers[1] < numbers[2] == numbers[3]
    assert states == ["FAILED", "FAILED", "COMPLETED", "COMPLETED"] and run.jobs[numbers[3]]["Restarts"] == "1"
    assert "resuming from epoch" in (run.folder / "results/log/train/tiny/1.log").read_text()

    for name in ("results/jets", "results/preprocess", "results/shards", ".snakemake"):
        shutil.copytree(run.folder / name, tmp_path / name)
    options = ("--cores", "1", "--set-threads", "train=1", "--until", "train")
    subprocess.run(command(tmp_path, *options), check=True, capture_output=True)
    for name in ("model.safetensors", "last.safetensors"):
        here, there = (folder / "results/train/tiny/1" / name for folder in (run.folder, tmp_path))
        assert here.read_bytes() == there.read_bytes()


def test_a_job_that_was_killed_for_memory_is_submitted_again_with_more(run):
    attempts = [job for _, job in sorted(run.jobs.items()) if job["Comment"].startswith("rule_predict_test")]
    asked = [int(job["MinMemoryNode"].removesuffix("M")) for job in attempts]
    assert len(attempts) > 1 and asked == [300 * (attempt + 1) for attempt in range(len(attempts))]
    assert attempts[0]["JobState"] != attempts[-1]["JobState"] == "COMPLETED"
    (log,) = (run.folder / ".snakemake/slurm_logs/rule_predict_test").glob(f"*/{attempts[0]['JobId']}.log")
    assert "exceeded memory limit" in log.read_text()


def test_more_gpus_than_there_are_are_refused_with_the_words_of_slurm(run):
    profile = ("--workflow-profile", site_profile(run.folder, gpus=3))
    target = ("--forcerun", "train", "--until", "train")
    ended = subprocess.run(command(run.folder, *profile, *target), capture_output=True, text=True)
    assert ended.returncode == 1
    assert "Error in rule train:\n    message: SLURM sbatch failed." in ended.stderr
    assert "sbatch: error: Batch job submission failed: Requested node configuration is not available" in ended.stderr
