"""Whole files or none."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from conftest import make_jets
from topmass.console import stage
from topmass.files import BadInput, whole
from topmass.jets import write_jets
from topmass.layers import LAYERS
from topmass.learning.networks.model import Model
from topmass.preprocessing.shards import PER_JET, SPARSE, Shard, ShardMeta


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ValueError), whole(path) as part:
        part.write_text("new")
        raise ValueError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_finished_block_replaces_the_file(tmp_path):
    with whole(tmp_path / "folder" / "file") as part:
        part.write_text("new")
    assert (tmp_path / "folder" / "file").read_text() == "new"


def test_what_a_killed_writer_left_is_swept_away_by_the_next(tmp_path):
    code = "import os, sys; from pathlib import Path; from topmass.files import whole\n"
    code += "with whole(Path(sys.argv[1])) as part: part.write_text('half'); os.kill(os.getpid(), 9)"
    path = tmp_path / "file"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code, path], env=environment)
    assert ended.returncode == -9 and not path.exists() and len(list(tmp_path.iterdir())) == 1
    with whole(path) as part:
        part.write_text("whole")
    assert list(tmp_path.iterdir()) == [path]


def test_the_part_of_a_living_writer_stays(tmp_path):
    with whole(tmp_path / "file") as outer:
        outer.write_text("outer")
        with whole(tmp_path / "other") as part:
            part.write_text("other")
        assert outer.exists()


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


def test_an_unexpected_error_names_the_log_which_has_the_traceback(tmp_path, capsys):
    with pytest.raises(SystemExit), stage("train", str(tmp_path / "log")):
        raise RuntimeError("surprise")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "surprise" in said and str(tmp_path / "log") in said
    assert "Traceback" in (tmp_path / "log").read_text()


def write_table(path):
    write_jets(path, [make_jets(1500)], LAYERS, {})


def write_shard(path):
    values = {name: np.zeros(30_000, dtype) for name, dtype in (SPARSE | PER_JET).items()}
    Shard(np.arange(30_001), values, ShardMeta(("ecal",), (1,), (1.0,), 0.0, "none", "")).save(path)


def write_model(path):
    torch.manual_seed(1)
    Model.new("resnet15", 1, ShardMeta(("ecal",), (1,), (1.0,), 0.0, "none", "")).save(path)


@pytest.mark.parametrize("write", [write_table, write_shard, write_model])
def test_a_full_disk_is_one_line_and_leaves_nothing(write, small_disk, tmp_path, capsys):
    with pytest.raises(SystemExit), stage("stage", str(tmp_path / "log")):
        write(small_disk / "file")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith(f"stage: error: {small_disk / 'file'}: ") and "space" in said
    assert list(small_disk.iterdir()) == []
