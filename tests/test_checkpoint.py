"""A training that is killed, asked to end, or meets a damaged checkpoint or a full disk, goes on as if nothing was."""

import errno
import multiprocessing
import os
import pty
import random
import select
import signal
import termios
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch

from topmass.files import BadInput
from topmass.preprocessing.shards import Shard
from topmass.training.checkpoint import Checkpoint, find_checkpoint, previous
from topmass.training.signals import EX_TEMPFAIL
from training_runs import COMPUTE, RECIPE, run, start, train_logged

LONG = RECIPE | {"epochs": 6, "batch_size": 8, "ema_decay": 0.9, "augment_flips": ["eta", "phi"]}
KILLS = 6


@pytest.fixture(autouse=True)
def nothing_left():
    """End trainings that a test which has failed would leave at work."""
    yield
    for process in multiprocessing.active_children():
        process.kill()


def result(paths: list[Path]) -> tuple[bytes, bytes, list]:
    """Best and last weights, and the history but for its times."""
    best, last, history = paths
    rows = pd.read_csv(history).drop(columns=["seconds", "jets_per_second"])
    return best.read_bytes(), last.read_bytes(), rows.to_numpy().tolist()


def wait_for(path: Path, since: float = 0) -> None:
    """Until the file is there and younger."""
    for _ in range(6000):
        if path.exists() and path.stat().st_mtime > since:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {path}")


def wait_for_step(path: Path, wanted: float, steps: int) -> None:
    """Until the checkpoint is of so many steps, of which an epoch has `steps`."""
    for _ in range(6000):
        if path.exists():
            numbers = Checkpoint.load(path).scalars
            if (numbers["epoch"] - 1) * steps + numbers["step"] >= wanted:
                return
        time.sleep(0.005)
    raise AssertionError(f"{path}: never after {wanted} steps")


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["host", "disk"])
def test_killed_again_and_again_it_ends_with_the_same_weights(placement, dataset, tmp_path):
    compute = COMPUTE | {"placement": placement, "checkpoint_minutes": 0.03 / 60}
    if placement == "disk":
        compute["memory"] = 11 * max(path.stat().st_size for path in dataset[1]["train"]) / 1e9
    alone = run(dataset, tmp_path / "alone", recipe=LONG, compute=compute)
    steps, dice = -(-sum(len(Shard.load(path)) for path in dataset[1]["train"]) // LONG["batch_size"]), random.Random(1)
    where, folder = set(), tmp_path / "killed"
    folder.mkdir()
    paths = [folder / path.name for path in alone]
    for kill in range(KILLS):
        process = start(dataset, folder, recipe=LONG, compute=compute)
        # By steps, not by the clock: on a machine that is busy with other things the training must not end before.
        wait_for_step(
            folder / "kept/checkpoint.safetensors", LONG["epochs"] * steps * (kill + dice.random()) / (KILLS + 3), steps
        )
        time.sleep(dice.uniform(0, 0.02))
        process.kill()
        process.join()
        assert not paths[0].exists()
        found = Checkpoint.load(folder / "kept/checkpoint.safetensors")
        where.add((found.scalars["epoch"], found.scalars["step"]))
    process = start(dataset, folder, recipe=LONG, compute=compute)
    process.join()
    assert process.exitcode == 0
    assert len(where) > KILLS / 2 and any(step for _, step in where)
    assert result(paths) == result(alone)
    assert not (folder / "kept").exists()


ENDLESS = {"recipe": LONG | {"epochs": 1000}, "compute": COMPUTE | {"checkpoint_minutes": 1e9}}


def has_ended_well(folder: Path, by: str) -> None:
    """Hold that a training said by which signal it ended and where, and that its checkpoint is of that place."""
    output = (folder / "output").read_text()
    assert f"stopped on {by} in epoch" in output and "run again to resume" in output and "Traceback" not in output
    numbers = Checkpoint.load(folder / "kept/checkpoint.safetensors").scalars
    assert f"in epoch {numbers['epoch']} after {numbers['step']} steps" in output
    assert not (folder / "model.safetensors").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGXCPU])
def test_asked_to_end_it_leaves_a_checkpoint_and_a_status_and_goes_on(number, dataset, tmp_path):
    process = start(dataset, tmp_path, **ENDLESS)
    wait_for(tmp_path / "kept/checkpoint.safetensors")
    # However often: a shell sends SIGHUP beside the kernel, and the kernel SIGXCPU each second.
    while process.is_alive():
        os.kill(process.pid, number)
        process.join(0.01)
    assert process.exitcode == EX_TEMPFAIL
    has_ended_well(tmp_path, number.name)


def test_a_limit_of_cpu_time_leaves_a_checkpoint(dataset, tmp_path):
    process = start(dataset, tmp_path, **ENDLESS)
    wait_for(tmp_path / "kept/checkpoint.safetensors")
    running = psutil.Process(process.pid)
    used = int(sum(running.cpu_times()[:2]))
    running.rlimit(psutil.RLIMIT_CPU, (used + 1, used + 60))
    process.join(300)
    assert process.exitcode == EX_TEMPFAIL
    has_ended_well(tmp_path, "SIGXCPU")


def under_nohup(*arguments, **changes) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    train_logged(*arguments, **changes)


def test_a_signal_that_the_parent_lets_it_ignore_stays_ignored(dataset, tmp_path):
    process = start(dataset, tmp_path, target=under_nohup, **ENDLESS)
    kept = tmp_path / "kept/checkpoint.safetensors"
    wait_for(kept)
    os.kill(process.pid, signal.SIGHUP)
    for _ in range(2):
        wait_for(kept, kept.stat().st_mtime)
    os.kill(process.pid, signal.SIGTERM)
    process.join(300)
    assert process.exitcode == EX_TEMPFAIL
    has_ended_well(tmp_path, "SIGTERM")


def on_terminal(dataset, folder, environment, **changes) -> None:
    # The tests themselves may run under nohup.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.setsid()
    # The first terminal that is opened is that of the session.
    terminal = os.open(environment["TERMINAL"], os.O_RDWR)
    for number in range(3):
        os.dup2(terminal, number)
    run(dataset, folder, **changes)


def test_a_terminal_that_is_closed_leaves_a_checkpoint(dataset, tmp_path):
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 80))
    process = start(dataset, tmp_path, {"TERMINAL": os.ttyname(its)}, target=on_terminal, **ENDLESS)
    shown = b""
    # A terminal that nobody reads stops who writes to it.
    while not (tmp_path / "kept/checkpoint.safetensors").exists() or b"epoch 1" not in shown:
        assert select.select([ours], [], [], 60)[0], shown
        shown += os.read(ours, 10**5)
    os.close(its)
    os.close(ours)
    process.join(300)
    assert process.exitcode == EX_TEMPFAIL
    assert not (tmp_path / "model.safetensors").exists()


def stop_after(monkeypatch, saves: int):
    """Let a training end as if it were killed after so many checkpoints."""
    save, count = Checkpoint.save, []

    def counted(checkpoint, path):
        save(checkpoint, path)
        count.append(path)
        if len(count) == saves:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", counted)


@pytest.fixture
def stopped(dataset, tmp_path, monkeypatch) -> Path:
    """The checkpoint of a training that was stopped in its second epoch."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, 15)
        run(dataset, tmp_path / "stopped")
    return tmp_path / "stopped/kept/checkpoint.safetensors"


@pytest.mark.parametrize("damage", ["truncated", "another byte", "empty", "no checkpoint"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_taken(damage, stopped, dataset, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    content = bytearray(stopped.read_bytes())
    if damage == "truncated":
        content = content[:-100]
    elif damage == "another byte":
        content[-1000] ^= 1
    else:
        content = b"" if damage == "empty" else b"hello, world"
    stopped.write_bytes(content)
    found = run(dataset, tmp_path / "stopped")
    assert "not a complete checkpoint" in caplog.text and "set aside as checkpoint.1.set_aside" in caplog.text
    assert "resuming from epoch 2" in caplog.text
    assert result(found) == result(run(dataset, tmp_path / "alone"))


def test_a_checkpoint_of_another_training_is_set_aside_with_what_differs(stopped, dataset, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    run(dataset, tmp_path / "stopped", recipe=RECIPE | {"learning_rate": 0.01, "loss": "huber"}, seed=3)
    assert (
        "of another training (recipe.learning_rate 0.001 in the checkpoint, 0.01 now; "
        "recipe.loss mae in the checkpoint, huber now; seed 1 in the checkpoint, 3 now); "
        "set aside as checkpoint.1.set_aside"
    ) in caplog.text
    assert "resuming" not in caplog.text
    assert sorted(path.name for path in stopped.parent.iterdir()) == ["checkpoint.1.set_aside", "previous.1.set_aside"]


def test_a_full_disk_is_told_and_the_checkpoint_before_stays_good(stopped, dataset, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "topmass")
    before = stopped.read_bytes()
    write = Path.write_bytes
    sizes = []

    def full(path, content):
        if "checkpoint" not in path.name:
            return write(path, content)
        write(path, content[: len(content) // 2])
        sizes.append(stopped.read_bytes() == before)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    found = run(dataset, tmp_path / "stopped")
    assert sizes and all(sizes)
    assert "no checkpoint written" in caplog.text and "no space left on device; the previous one" in caplog.text
    monkeypatch.undo()
    assert result(found) == result(run(dataset, tmp_path / "alone"))


def test_the_jets_may_be_kept_elsewhere_when_it_goes_on(stopped, dataset, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    memory = 11 * max(path.stat().st_size for path in dataset[1]["train"]) / 1e9
    run(dataset, tmp_path / "stopped", compute=COMPUTE | {"placement": "disk", "memory": memory})
    assert "resuming from epoch 2" in caplog.text and "uses some jets twice" in caplog.text


def test_a_checkpoint_survives_the_round_trip(tmp_path):
    tensors = {"a": torch.rand(3, dtype=torch.float64), "b": torch.tensor(7), "c": torch.arange(4, dtype=torch.uint8)}
    numbers = {"epoch": 3, "rate": 0.1 + 0.2, "rows": []}
    path = tmp_path / "c.safetensors"
    assert find_checkpoint(path, {}) is None
    Checkpoint(tensors, numbers, {"seed": 1}).save(path)
    assert not previous(path).exists()
    Checkpoint(tensors, numbers | {"epoch": 4}, {"seed": 1}).save(path)
    for file, epoch in ((path, 4), (previous(path), 3)):
        found = Checkpoint.load(file)
        assert found.scalars == numbers | {"epoch": epoch} and found.identity == {"seed": 1}
        assert all(torch.equal(found.tensors[name], tensors[name]) for name in tensors)
    with pytest.raises(BadInput, match=r"test_checkpoint\.py: not a complete checkpoint"):
        Checkpoint.load(Path(__file__))
