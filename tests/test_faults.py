"""Faults on purpose: after each, a plain run ends as if nothing had happened, or says what to do.

What is said is done then: the file that is named is removed, and the workflow run again.
"""

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
from test_workflow import compare, house  # noqa: F401 (a fixture)

pytestmark = pytest.mark.lab
KILLS, DAMAGES = 20, 28
START = [sys.executable, "workflow/start.py", "--configfile", "tests/tiny.yaml", "--cores", "2"]
DAMAGED = re.compile(r"error: (results/[^:]+): ")


@pytest.fixture
def clone(house, tmp_path) -> Path:  # noqa: F811
    """A copy of the repository with the results of a run."""
    shutil.copytree(house, tmp_path / "topmass")
    return tmp_path / "topmass"


def run(clone: Path) -> subprocess.CompletedProcess:
    return subprocess.run(START, cwd=clone, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def recovers(clone: Path) -> None:
    """Run again; if that names a damaged file, remove it and run again. Each failure has to name one."""
    for _ in range(4):
        ended = run(clone)
        if ended.returncode == 0:
            return
        assert "Traceback" not in ended.stdout, ended.stdout
        named = DAMAGED.findall(ended.stdout)
        assert named and "remove it, and the next run makes it anew" in ended.stdout, ended.stdout
        for name in set(named):
            # Of a whole split its folder is named.
            path = clone / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    raise AssertionError(ended.stdout)


def test_any_process_may_be_killed_again_and_again(house, clone):  # noqa: F811
    shutil.rmtree(clone / "results")
    dice, killed = random.Random(2), 0
    for _ in range(KILLS):
        process = subprocess.Popen(START, cwd=clone, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(1, 7))
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        victim = dice.choice([each for each in family if each.is_running()])
        victim.send_signal(signal.SIGKILL)
        killed += 1
        # Its jobs may outlive a Snakemake that was killed, and one that lives may go on with other jobs.
        if dice.random() < 0.5:
            for each in family:
                if each.is_running():
                    each.send_signal(signal.SIGTERM)
        process.wait()
    assert killed == KILLS and run(clone).returncode == 0
    compare(house, clone)


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
    "from the past": lambda path, dice: os.utime(path, (10**8, 10**8)),
    "from the future": lambda path, dice: os.utime(path, (time.time() + 10**5,) * 2),
}
KINDS = (
    "jets/*/0*.parquet",
    "shards/**/*.npz",
    "train/**/*.safetensors",
    "predict/**/*.parquet",
    "preprocess/**/*.json",
)


@pytest.mark.parametrize("seed", range(DAMAGES))
def test_a_damaged_file_is_made_anew_or_named(seed, house, clone):  # noqa: F811
    dice = random.Random(seed)
    results = clone / "results"
    fault = list(FAULTS)[seed % len(FAULTS)]
    path = dice.choice(sorted(results.glob(KINDS[seed // 2 % len(KINDS)])))
    print(f"{fault}: {path.relative_to(clone)}")
    FAULTS[fault](path, dice)
    # What comes after is made again, so that the damage is met.
    later = [folder for folder in ("shards", "train", "predict", "evaluate") if folder not in path.parts]
    for folder in later[-2:] if "train" in path.parts or "predict" in path.parts else later:
        shutil.rmtree(results / folder)
    recovers(clone)
    compare(house, clone)


def test_two_runs_at_once_take_turns(house, clone):  # noqa: F811
    shutil.rmtree(clone / "results/shards")
    both = [
        subprocess.Popen(START, cwd=clone, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in "ab"
    ]
    said = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], "\n".join(said)
    compare(house, clone)


def test_a_disk_that_fills_up_is_named_and_with_room_the_run_goes_on(house, clone):  # noqa: F811
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
        compare(house, clone)
    finally:
        subprocess.run(["umount", str(clone / "results")], check=True)
