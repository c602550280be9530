"""Whole files or none."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import make_jets
from topmass.console import stage
from topmass.files import BadInput, atomic_write
from topmass.jets import write_jets
from topmass.layers import LAYERS
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import SHARD_HIT_ARRAYS, SHARD_JET_ARRAYS, Shard, ShardMeta


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ValueError), atomic_write(path) as part:
        part.write_text("new")
        raise ValueError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_finished_block_replaces_the_file(tmp_path):
    with atomic_write(tmp_path / "folder" / "file") as part:
        part.write_text("new")
    assert (tmp_path / "folder" / "file").read_text() == "new"


def test_what_a_killed_writer_left_is_swept_away_by_the_next(tmp_path):
    code = "import os, sys; from pathlib import Path; from topmass.files import atomic_write\n"
    code += "with atomic_write(Path(sys.argv[1])) as part: part.write_text('half'); os.kill(os.getpid(), 9)"
    path = tmp_path / "file"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code, path], env=environment)
    assert ended.returncode == -9 and not path.exists() and len(list(tmp_path.iterdir())) == 1
    with atomic_write(path) as part:
        part.write_text("whole")
    assert list(tmp_path.iterdir()) == [path]


def test_the_part_of_a_living_writer_stays(tmp_path):
    with atomic_write(tmp_path / "file") as outer:
        outer.write_text("outer")
        with atomic_write(tmp_path / "other") as part:
            part.write_text("other")
        assert outer.exists()


NOBODY = 2**22 + 1
"""The number of no process: Linux has none beyond 2 ** 22."""


def test_only_what_writers_of_this_file_on_this_machine_left_is_swept_away(tmp_path):
    with atomic_write(tmp_path / "file") as part:
        part.touch()
        mine = part.name.replace(str(os.getpid()), str(NOBODY))
    host = socket.gethostname()
    others = {
        mine.replace(host, f"{host}.example.org"),  # of a machine whose name begins like this one's
        mine.replace(host, f"other-{host}"),
        mine.replace("file", "file.7"),  # of a file whose name begins like this one's
        mine.replace("file", f"file.{host}"),
        f".file.{host}.example.org.{NOBODY}.part",
        f".file.{host}.words.part",
    }
    for name in (mine, *others):
        (tmp_path / name).touch()
    with atomic_write(tmp_path / "file") as part:
        part.touch()
    assert {path.name for path in tmp_path.iterdir()} == {"file", *others}


def test_a_report_that_is_killed_leaves_nothing_in_the_temporary_folder(tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "Snakefile").write_text("import time\nopen('read', 'w').close()\ntime.sleep(60)", encoding="utf-8")
    code = "from workflow_report import *; write_workflow_report(Path('report.html'), 'Snakefile', {'figures': {}})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path / "tmp")}
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, start_new_session=True)
    while not (tmp_path / "read").exists() and child.poll() is None:
        time.sleep(0.1)
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    # Snakemake's own folder is not ours.
    assert [path.name for path in (tmp_path / "tmp").iterdir() if not path.name.startswith("snakemake")] == []


def test_what_tests_leave_in_the_temporary_folder_is_pytests_to_clear_away(temporary_folder, tmp_path_factory):
    code = "import tempfile; print(tempfile.mkdtemp())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert Path(made.strip()).parent == temporary_folder
    assert temporary_folder.is_relative_to(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BadInput("table.parquet: row 3: mass is not finite"), "table.parquet: row 3: mass is not finite"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "shard.npz"), "shard.npz: no space left on device"),
    ],
)
def test_a_stage_ends_with_one_line_and_status_one(error, line, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, stage("shards", str(tmp_path / "log")):
        raise error
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"shards: error: {line}\n"
    assert line in (tmp_path / "log").read_text()


def test_a_temporary_folder_without_room_is_named(small_disk, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TMPDIR", str(small_disk))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(SystemExit), stage("report", str(tmp_path / "log")), tempfile.TemporaryFile() as file:
        file.write(bytes(10**5))
        file.flush()
    said = capsys.readouterr().err
    assert said.startswith(f"report: error: no space left on device; free are 0.0 GB in TMPDIR={small_disk}, ")
    assert said.count("\n") == 1 and said.endswith("to fix: make room, or name another folder in TMPDIR\n")


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "memory"),
        (ImportError("iup.so: failed to map segment from shared object"), "memory"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "shard.npz"), "open files"),
        (RuntimeError("can't start new thread"), "processes"),
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "processes"),
    ],
)
def test_what_a_machine_has_too_little_of_is_named_with_a_remedy(error, what, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, stage("train", str(tmp_path / "log")):
        raise error
    said = capsys.readouterr().err
    assert ended.value.code == 1 and said.count("\n") == 1
    assert said.startswith(f"train: error: not enough {what} (") and "let fewer jobs run at a time" in said


def test_an_unexpected_error_names_the_log_which_has_the_traceback(tmp_path, capsys):
    with pytest.raises(SystemExit), stage("train", str(tmp_path / "log")):
        raise RuntimeError("surprise")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "surprise" in said and str(tmp_path / "log") in said
    assert "Traceback" in (tmp_path / "log").read_text()


def write_table(path):
    write_jets(path, [make_jets(1500)], LAYERS, {})


def write_shard(path):
    values = {name: np.zeros(30_000, dtype) for name, dtype in (SHARD_HIT_ARRAYS | SHARD_JET_ARRAYS).items()}
    Shard(np.arange(30_001), values, ShardMeta(("ecal",), (1,), (1.0,), 0.0, "none", "")).save(path)


def write_model(path):
    torch.manual_seed(1)
    TrainedModel.new({"name": "resnet15"}, ShardMeta(("ecal",), (1,), (1.0,), 0.0, "none", "")).save(path)


@pytest.mark.parametrize("write", [write_table, write_shard, write_model])
def test_a_full_disk_is_one_line_and_leaves_nothing(write, small_disk, tmp_path, capsys):
    with pytest.raises(SystemExit), stage("stage", str(tmp_path / "log")):
        write(small_disk / "file")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith(f"stage: error: {small_disk / 'file'}: ") and "space" in said
    assert list(small_disk.iterdir()) == []
