"""A training that is killed, asked to end, or meets a damaged checkpoint or a full disk, goes on as if nothing was."""

import errno
import os
import random
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from topmass.files import BadInput
from topmass.learning.resuming.checkpoint import Checkpoint, find_checkpoint, previous
from topmass.learning.resuming.interrupt import TRY_AGAIN
from topmass.preprocessing.shards import Shard
from training_runs import COMPUTE, RECIPE, run, start

LONG = RECIPE | {"epochs": 6, "batch": 8, "average_decay": 0.9, "flips": ["eta", "phi"]}
KILLS = 10


def result(paths: list[Path]) -> tuple[bytes, bytes, list]:
    """Best and last weights, and the history but for its times."""
    best, last, history = paths
    rows = pd.read_csv(history).drop(columns=["seconds", "jets_per_second"])
    return best.read_bytes(), last.read_bytes(), rows.to_numpy().tolist()


def wait_for(path: Path, since: float = 0) -> None:
    """Until the file is there and younger."""
    for _ in range(1200):
        if path.exists() and path.stat().st_mtime > since:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {path}")


def wait_for_step(path: Path, wanted: float, steps: int) -> None:
    """Until the checkpoint is of so many steps, of which an epoch has `steps`."""
    for _ in range(6000):
        if path.exists():
            numbers = Checkpoint.load(path).numbers
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
    steps, dice = -(-sum(len(Shard.load(path)) for path in dataset[1]["train"]) // LONG["batch"]), random.Random(1)
    where, folder = set(), tmp_path / "killed"
    folder.mkdir()
    paths = [folder / path.name for path in alone]
    for kill in range(KILLS):
        process = start(dataset, folder, recipe=LONG, compute=compute)
        # By steps, not by the clock: on a machine that is busy with other things the training must not end before.
        wait_for_step(
            folder / "kept/checkpoint.safetensors", LONG["epochs"] * steps * (kill + dice.random()) / 13, steps
        )
        time.sleep(dice.uniform(0, 0.02))
        process.kill()
        process.join()
        assert not paths[0].exists()
        found = Checkpoint.load(folder / "kept/checkpoint.safetensors")
        where.add((found.numbers["epoch"], found.numbers["step"]))
    process = start(dataset, folder, recipe=LONG, compute=compute)
    process.join()
    assert process.exitcode == 0
    assert len(where) > KILLS / 2 and any(step for _, step in where)
    assert result(paths) == result(alone)
    assert not (folder / "kept").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_end_it_leaves_a_checkpoint_and_a_status_and_goes_on(number, dataset, tmp_path):
    compute = COMPUTE | {"checkpoint_minutes": 1e9}
    process = start(dataset, tmp_path, recipe=LONG | {"epochs": 1000}, compute=compute)
    wait_for(tmp_path / "kept/checkpoint.safetensors")
    time.sleep(0.2)
    os.kill(process.pid, number)
    process.join(20)
    assert process.exitcode == TRY_AGAIN
    said = (tmp_path / "said").read_text()
    assert f"ended on {number.name} in epoch" in said and "run the same again to go on" in said
    numbers = Checkpoint.load(tmp_path / "kept/checkpoint.safetensors").numbers
    assert f"in epoch {numbers['epoch']} after {numbers['step']} steps" in said
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
    assert "not a whole checkpoint" in caplog.text and "set aside as checkpoint.1.set_aside" in caplog.text
    assert "goes on in epoch 2" in caplog.text
    assert result(found) == result(run(dataset, tmp_path / "alone"))


def test_a_checkpoint_of_another_training_is_set_aside_with_what_differs(stopped, dataset, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    run(dataset, tmp_path / "stopped", recipe=RECIPE | {"learning_rate": 0.01, "loss": "huber"}, seed=3)
    assert (
        "of another training (recipe.learning_rate 0.001 there, 0.01 here; recipe.loss mae there, huber here; "
        "seed 1 there, 3 here); set aside as checkpoint.1.set_aside"
    ) in caplog.text
    assert "goes on" not in caplog.text
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
    assert "no checkpoint written" in caplog.text and "no space left on device; the one before" in caplog.text
    monkeypatch.undo()
    assert result(found) == result(run(dataset, tmp_path / "alone"))


def test_the_jets_may_be_kept_elsewhere_when_it_goes_on(stopped, dataset, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    memory = 11 * max(path.stat().st_size for path in dataset[1]["train"]) / 1e9
    run(dataset, tmp_path / "stopped", compute=COMPUTE | {"placement": "disk", "memory": memory})
    assert "goes on in epoch 2" in caplog.text and "some come twice" in caplog.text


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
        assert found.numbers == numbers | {"epoch": epoch} and found.identity == {"seed": 1}
        assert all(torch.equal(found.tensors[name], tensors[name]) for name in tensors)
    with pytest.raises(BadInput, match=r"test_checkpoint\.py: not a whole checkpoint"):
        Checkpoint.load(Path(__file__))
