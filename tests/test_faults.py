"""Faults on purpose: after each, a plain run ends as if nothing had happened, or says what to do.

What is said is done then: the file that is named is removed, and the workflow run again.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from test_hostile import damage
from test_workflow import compare, repository  # noqa: F401 (a fixture)

pytestmark = pytest.mark.lab
KILLS, ROUNDS, FAULTS_A_ROUND = 15, 6, 3
# Root may read and write everything; these runs may not.
AS_OTHERS = [] if os.getuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
START = [*AS_OTHERS, sys.executable, "workflow/start.py", "--configfile", "tests/tiny.yaml", "--cores", "2"]
DAMAGED = re.compile(r"error: (results/[^:]+): (.*)")
PROTECTED = re.compile(r"Write-protected output files.*affected files:\s+(results/\S+)", re.DOTALL)
FROM_THE_FUTURE = re.compile(r"has older modification time \([^)]*\) than input (\S+)")


@pytest.fixture
def clone(repository, tmp_path) -> Path:  # noqa: F811
    """A copy of the repository with the results of a run."""
    shutil.copytree(repository, tmp_path / "topmass")
    return tmp_path / "topmass"


def run(clone: Path) -> subprocess.CompletedProcess:
    return subprocess.run(START, cwd=clone, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def recovers(clone: Path) -> None:
    """Run again; if that names a file, do what it says: remove it, touch it or give the right to read it; run again."""
    for _ in range(1 + FAULTS_A_ROUND):
        ended = run(clone)
        if ended.returncode == 0:
            return
        assert "Traceback" not in ended.stdout, ended.stdout
        early = FROM_THE_FUTURE.findall(ended.stdout)
        for name in early:
            assert "touch it" in ended.stdout
            (clone / name).touch()
        named = dict(DAMAGED.findall(ended.stdout))
        closed = [name for name, why in named.items() if "`chmod u+rw` gives its owner the right" in why]
        closed += PROTECTED.findall(ended.stdout)
        for name in closed:
            (clone / name).chmod(0o644)
        damaged = named.keys() - closed
        assert early or closed or damaged, ended.stdout
        for name in damaged:
            assert "remove it, and run the same command again" in ended.stdout
            # Of a whole split its folder is named.
            path = clone / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    raise AssertionError(ended.stdout)


def lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def test_any_process_may_be_killed_again_and_again(repository, clone):  # noqa: F811
    shutil.rmtree(clone / "results")
    dice, killed = random.Random(2), 0
    while killed < KILLS:
        process = subprocess.Popen(
            START, cwd=clone, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(dice.uniform(1, 7))
        started = psutil.Process(process.pid)
        family = [each for each in (started, *started.children(recursive=True)) if lives(each)]
        if family:
            with contextlib.suppress(psutil.NoSuchProcess):
                # One of them, and each third time the whole group at once.
                if killed % 3:
                    dice.choice(family).send_signal(signal.SIGKILL)
                else:
                    os.killpg(process.pid, signal.SIGKILL)
                killed += 1
            # Its jobs may outlive a Snakemake that was killed, and one that lives may go on with other jobs.
            if dice.random() < 0.5:
                for each in family:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.send_signal(signal.SIGTERM)
            process.wait()
        else:
            # A run that has ended before it was to be killed does not count.
            assert process.wait() == 0
        if (clone / "results/report.html").exists():
            shutil.rmtree(clone / "results")
    assert run(clone).returncode == 0
    compare(repository, clone)
    assert not list((clone / "results").rglob("*.part*"))


def flip(path: Path, dice: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


def in_place(path: Path, dice: random.Random) -> None:
    """Flip a bit and keep the time, as a failing disk does."""
    times = path.stat()
    flip(path, dice)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


FAULTS: dict[str, Callable[[Path, random.Random], None]] = {
    "a flipped bit": flip,
    "a bit flipped by the disk": in_place,
    "many damages": lambda path, dice: path.write_bytes(damage(path.read_bytes(), dice.randrange(1000))),
    "cut short": lambda path, dice: os.truncate(path, dice.randrange(path.stat().st_size)),
    "emptied": lambda path, dice: os.truncate(path, 0),
    "removed": lambda path, dice: path.unlink(),
    "unreadable": lambda path, dice: path.chmod(0),
    "from the past": lambda path, dice: os.utime(path, (10**8, 10**8)),
    "from the future": lambda path, dice: os.utime(path, (time.time() + 10**5,) * 2),
}
STAGES = {
    "jets": "jets/*/0*.parquet",
    "preprocess": "preprocess/**/*.json",
    "shards": "shards/**/*.npz",
    "train": "train/**/*.safetensors",
    "predict": "predict/**/*.parquet",
}


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_damaged_files_are_made_anew_or_named(seed, repository, clone):  # noqa: F811
    dice, results = random.Random(seed), clone / "results"
    faults = dice.sample(list(FAULTS), FAULTS_A_ROUND)
    stages = sorted(dice.sample(list(STAGES), FAULTS_A_ROUND), key=list(STAGES).index)
    for fault, stage in zip(faults, stages, strict=True):
        path = dice.choice(sorted(results.glob(STAGES[stage])))
        print(f"{fault}: {path.relative_to(clone)}")
        FAULTS[fault](path, dice)
    # What comes after the first of them, and is not damaged itself, is made again, so that the damage is met.
    for stage in [*STAGES, "evaluate"][list(STAGES).index(stages[0]) + 1 :]:
        if stage not in stages:
            shutil.rmtree(results / stage)
    shutil.rmtree(results / "evaluate", ignore_errors=True)
    recovers(clone)
    # What stands between may be missing, where the results that are there are young enough.
    compare(repository, clone, ("evaluate", "figures"))


# A machine sees its own processes only.
ANOTHER_MACHINE = ["unshare", "--pid", "--fork", "--mount-proc"]
PLAIN = [sys.executable, "-m", "snakemake", *START[-4:]]


@pytest.mark.parametrize("first", [START, [*ANOTHER_MACHINE, *START], [*ANOTHER_MACHINE, *PLAIN]])
def test_two_runs_at_once_take_turns(first, repository, clone):  # noqa: F811
    if first != START and subprocess.run([*ANOTHER_MACHINE, "true"], capture_output=True).returncode:
        pytest.skip("name spaces are made by root only")
    for stage in ("shards", "train", "predict", "evaluate"):
        shutil.rmtree(clone / "results" / stage)
    (clone / ".snakemake/turn").write_text("")
    runs = [subprocess.Popen(first, cwd=clone, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)]
    while "snakemake" in first and not (clone / ".snakemake/turn").read_text():
        time.sleep(0.05)
    runs += [subprocess.Popen(START, cwd=clone, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)]
    said = [each.communicate()[0] for each in runs]
    assert [each.returncode for each in runs] == [0, 0], "\n".join(said)
    assert sum("waiting for the run that is at work in this folder (process " in each for each in said) == 1
    assert sum("Nothing to be done" in each for each in said) == 1
    compare(repository, clone)


def test_a_disk_that_fills_up_is_named_and_with_room_the_run_goes_on(repository, clone):  # noqa: F811
    shutil.rmtree(clone / "results")
    (clone / "results").mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(clone / "results")]
    if subprocess.run(small, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        ended = run(clone)
        assert (
            ended.returncode and "no space left on device" in ended.stdout.lower() and "Traceback" not in ended.stdout
        )
        subprocess.run(["mount", "-o", "remount,size=200m", str(clone / "results")], check=True)
        assert run(clone).returncode == 0
        compare(repository, clone)
    finally:
        subprocess.run(["umount", str(clone / "results")], check=True)
