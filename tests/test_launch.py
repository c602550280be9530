"""Several processes that train one network together get what one alone gets, on one machine or on several."""

import os
import signal
import socket
import subprocess
import tempfile
import time

import pandas as pd
import pytest
import safetensors.torch
import torch

from topmass.files import BadInput
from topmass.preprocessing.shards import Shard
from topmass.training.checkpoint import Checkpoint
from topmass.training.launch import node_count_and_address, rendezvous_arguments
from topmass.training.signals import EX_TEMPFAIL
from training_runs import COMPUTE, RECIPE, RESNET15, run, start, start_by

TWO = COMPUTE | {"processes": 2, "checkpoint_minutes": 1e9}


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A temporary folder for the trainings, in which none of them may leave anything."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    # But for torch's cache, which may stay, and is elsewhere here.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))
    yield folder
    assert not [path.name for path in folder.iterdir()]


def same(one, other, rounding: float = 2e-5) -> None:
    """Hold that two trainings ended with the same weights and the same history, to this `rounding` of a weight."""
    weights = [safetensors.torch.load_file(paths[1]) for paths in (one, other)]
    for name, expected in weights[0].items():
        assert torch.allclose(weights[1][name], expected, rtol=1e-3, atol=rounding), name
    rows = [pd.read_csv(paths[2])[["loss", "validation_loss", "mre"]].to_numpy() for paths in (one, other)]
    assert rows[0] == pytest.approx(rows[1], rel=1e-4)


def meeting_here() -> dict[str, str]:
    """The environment of two machines that meet at a free port of this one."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return {"TOPMASS_RENDEZVOUS": f"localhost:{free.getsockname()[1]}", "TOPMASS_NODES": "2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "optimizer", "rounding"),
    [
        (RESNET15, "adam", 2e-5),
        # Its blocks say nothing at first, so that gradients in them begin near zero; Adam makes steps of 1e-3 of any.
        # Muon makes steps orthogonal in bfloat16, of which a whole step is 0.02 of a weight here.
        ({"name": "prongs", "particles": 16, "prongs": 3, "width": 8}, "muon", 2e-3),
    ],
    ids=["resnet15", "prongs"],
)
def test_two_processes_get_the_weights_of_one(network, optimizer, rounding, dataset, tmp_path):
    jets = sum(len(Shard.load(path)) for path in dataset[1]["train"])
    # The last batch has a single jet, so that one of the processes has none of it.
    batch = next(size for size in range(30, jets) if jets % size == 1)
    changes = {"gradient_clip_norm": 1.0, "ema_decay": 0.5, "augment_flips": ["phi"], "optimizer": optimizer}
    recipe = RECIPE | {"batch_size": batch} | changes
    two = run(dataset, tmp_path / "two", network=network, recipe=recipe, compute=TWO, threads=2)
    same(run(dataset, tmp_path / "one", network=network, recipe=recipe), two, rounding)
    assert not (tmp_path / "two/kept").exists()


@pytest.mark.slow
def test_two_machines_meet_at_an_address_from_the_environment(dataset, tmp_path):
    """Two launchers on this machine, one process each."""
    environment = meeting_here()
    started = [start(dataset, tmp_path / "two", environment) for _ in range(2)]
    for process in started:
        process.join(90)
    assert [process.exitcode for process in started] == [0, 0]
    paths = [tmp_path / "two" / name for name in ("model.safetensors", "last.safetensors", "history.csv")]
    same(run(dataset, tmp_path / "one"), paths)


NAMELESS = ["unshare", "--uts", "sh", "-c", 'hostname nowhere.invalid && exec "$@"', "-"]
"""Starts a process on a machine whose own name means nothing."""


@pytest.mark.slow
def test_processes_need_no_name_of_their_machine(dataset, tmp_path):
    process = start_by(NAMELESS, dataset, tmp_path / "two", compute=TWO, threads=2)
    assert process.wait() == 0
    assert (tmp_path / "two/model.safetensors").exists()


@pytest.fixture
def networks():
    """Names of two networks that are connected, with the addresses 10.77.0.1 and 10.77.0.2."""
    one, other = names = [f"topmass{os.getpid()}{end}" for end in "ab"]
    if subprocess.run(["ip", "netns", "add", one], capture_output=True).returncode:
        pytest.skip("not allowed here: ip netns add")
    commands = [f"ip netns add {other}", f"ip link add there netns {one} type veth peer name there netns {other}"]
    for number, name in enumerate(names, 1):
        commands.append(f"ip -n {name} addr add 10.77.0.{number}/24 dev there")
        commands += [f"ip -n {name} link set {device} up" for device in ("lo", "there")]
    for command in commands:
        subprocess.run(command.split(), check=True)
    yield names
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.lab
def test_two_machines_need_no_names_to_meet(dataset, tmp_path, networks):
    environment = {"TOPMASS_RENDEZVOUS": "10.77.0.2:29477", "TOPMASS_NODES": "2"}
    words = [[*NAMELESS, "ip", "netns", "exec", name] for name in networks]
    started = [start_by(each, dataset, tmp_path / "two", environment) for each in words]
    assert [process.wait() for process in started] == [0, 0]
    assert (tmp_path / "two/model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGXCPU])
def test_two_processes_that_are_asked_to_end_leave_one_checkpoint(number, dataset, tmp_path):
    recipe = RECIPE | {"epochs": 1000}
    process = start(dataset, tmp_path, recipe=recipe, compute=TWO, threads=2)
    kept = tmp_path / "kept/checkpoint.safetensors"
    while not kept.exists():
        time.sleep(0.05)
        assert process.is_alive()
    deadline = time.monotonic() + 60
    # A shell that ends sends SIGHUP beside the kernel, and the kernel SIGXCPU each second.
    while process.is_alive() and time.monotonic() < deadline:
        os.kill(process.pid, number)
        process.join(0.5)
    output = (tmp_path / "output").read_text()
    assert process.exitcode == EX_TEMPFAIL and "run again to resume" in output and "Traceback" not in output
    numbers = Checkpoint.load(kept).scalars
    assert f"in epoch {numbers['epoch']} after {numbers['step']} steps" in output


def test_a_signal_while_other_machines_are_waited_for_ends_at_once(dataset, tmp_path, temporary):
    process = start(dataset, tmp_path / "one", meeting_here())
    while not list(temporary.glob("topmass_*")):
        time.sleep(0.05)
        assert process.is_alive()
    time.sleep(1)
    os.kill(process.pid, signal.SIGTERM)
    process.join(20)
    assert process.exitcode == EX_TEMPFAIL
    assert "stopped on SIGTERM before the training started; run the same again" in (tmp_path / "one/output").read_text()


@pytest.mark.slow
def test_what_is_wrong_with_one_of_the_processes_is_one_line(dataset, tmp_path, capfd):
    path = dataset[1]["train"][1]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput, match=r"train/1\.npz: not a complete shard"):
        run(dataset, tmp_path, compute=TWO, threads=2)
    assert "Traceback" not in capfd.readouterr().err


def test_an_address_without_a_number_of_machines_is_refused(monkeypatch):
    assert node_count_and_address() == (1, "")
    monkeypatch.setenv("TOPMASS_RENDEZVOUS", "somewhere:1234")
    with pytest.raises(BadInput, match="need TOPMASS_RENDEZVOUS=host:port and TOPMASS_NODES=their number, both"):
        node_count_and_address()
    monkeypatch.setenv("PET_NNODES", "2")
    assert node_count_and_address() == (2, "somewhere:1234")


@pytest.mark.parametrize("address", ["nowhere.invalid:1234", "localhost:port", ":1234"])
def test_an_address_of_nothing_is_refused_with_its_variable(address, monkeypatch):
    monkeypatch.setenv("TOPMASS_RENDEZVOUS", address)
    monkeypatch.setenv("TOPMASS_NODES", "2")
    with pytest.raises(BadInput, match=f"TOPMASS_RENDEZVOUS={address}: not a host:port that can be reached"):
        rendezvous_arguments()
