"""Progress of a stage: in a terminal, outside one, and in the log."""

import io
import logging
import os
import re
import sys
import termios
import time

import pytest

import simulate
from compute_statistics import compute_statistics
from conftest import FLATTEN, SPLIT, make_jets
from convert import convert
from make_shards import make_shards
from predict_test import predict_test
from topmass.console import log_info, stage
from topmass.io.dense_file import write_dense
from topmass.layers import LAYERS
from topmass.progress import Progress, track
from train_gbdt import train_gbdt
from training_runs import RECIPE, run


@pytest.fixture
def log(tmp_path, monkeypatch):
    """The log of a stage that prints a hundred times a second how far it is."""
    monkeypatch.setattr("topmass.console.EVERY", 0.01)
    # A stage sets them, and its process has no other stage.
    monkeypatch.setattr(logging.getLogger("topmass"), "handlers", [])
    return tmp_path / "log/train/fast/1.log"


@pytest.fixture
def lines(monkeypatch, said):
    """What stages print about their progress, if each of their steps is longer than the time between two lines."""
    update = Progress.update

    def slow(progress, *arguments):
        update(progress, *arguments)
        progress.log_line()

    monkeypatch.setattr(Progress, "update", slow)
    return said


def wait_for(pattern: str, file) -> str:
    """The first match in the file, which another thread writes."""
    for _ in range(3000):
        if found := re.search(pattern, file.read_text(encoding="utf-8")):
            return found[0]
        time.sleep(0.01)
    raise AssertionError(file.read_text(encoding="utf-8"))


def test_outside_a_terminal_a_stage_prints_lines_to_its_log_too(log, capfd):
    line = r"epoch 1 of 2, 45 %, [\d,]+ jets/s, loss 0\.0930, \d+ (?:s|min) left"
    with stage("train", str(log)), Progress("epoch 1 of 2", 10_000, remaining_after=10_000) as progress:
        progress.update(4500, "loss 0.0930")
        wait_for(line, log)
    printed = capfd.readouterr().err
    assert re.search(rf"^train: {line}$", printed, re.M)
    assert "\r" not in printed


def test_a_stage_that_does_not_know_how_far_it_is_says_that_it_is_at_work(log):
    with stage("evaluate", str(log)):
        wait_for(r"at work for \d+ s", log)


def test_the_innermost_work_is_shown(log):
    with stage("train", str(log)), Progress("epoch", 2) as epoch:
        epoch.update()
        with Progress("validation", None, "jet"):
            wait_for("validation, 0 jets", log)
        wait_for("epoch, 50 %.*\n.*epoch, 50 %", log)


def test_nothing_is_printed_after_the_end(log):
    with stage("train", str(log)):
        wait_for("at work", log)
    before = log.read_text(encoding="utf-8")
    time.sleep(0.05)
    assert log.read_text(encoding="utf-8") == before


def test_a_terminal_has_a_bar_and_the_log_the_lines(log, monkeypatch):
    near, far = os.openpty()
    termios.tcsetwinsize(far, (24, 80))
    with os.fdopen(far, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with stage("statistics", str(log)):
            for path in track(range(4), "counting jets", "table"):
                # A bar is not drawn more than ten times a second.
                time.sleep(0.15)
                if path == 2:
                    wait_for("counting jets, 50 %", log)
            log_info("scales: ecal 4.2")
        shown = ""
        # A line of the heartbeat may follow.
        while "4.2\r\n" not in shown:
            shown += os.read(near, 1 << 16).decode()
    os.close(near)
    assert "50%" in shown and "2/4" in shown and "50 %" not in shown
    # The bar is gone before anything else is printed.
    assert re.search(r"\r *\rstatistics: scales: ecal 4\.2", shown)


def test_a_rate_and_a_time_suit_their_size(monkeypatch):
    now = 0.0
    monkeypatch.setattr("topmass.progress.time.monotonic", lambda: now)
    for done, total, unit, seconds, line in (
        (4500, 9000, "jet", 30, "x, 50 %, 150 jets/s, 30 s left"),
        (3, 12, "shard", 60, "x, 25 %, 0.05 shards/s, 3 min left"),
        (3e6, 12e6, "B", 1, "x, 25 %, 3.00MB/s, 3 s left"),
        (310, None, "round", 31, "x, 310 rounds, 10 rounds/s"),
        (0, 100, "jet", 60, "x, 0 %"),
        (0, 0, "jet", 60, "x, 0 jets"),
    ):
        now = 0.0
        with Progress("x", total, unit) as progress:
            progress.update(done)
            now = float(seconds)
            assert progress.line() == line


def test_a_process_that_is_to_be_silent_has_no_bar(monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "topmass")
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", shown)
    assert list(track([1, 2], "reading", "shard")) == [1, 2]
    assert not shown.getvalue()


def test_statistics_and_shards_show_how_far_they_are(lines, tables, tmp_path):
    statistics = tmp_path / "statistics.json"
    compute_statistics(tables, statistics, "made_up", SPLIT, [layer.name for layer in LAYERS], {}, 0.99, FLATTEN)
    make_shards(tables[2], statistics, {split: tmp_path / f"{split}.npz" for split in SPLIT}, 1e-5, "none")
    assert "counting jets, 33 %, " in lines() and "block 2, 100 %, " in lines()


def test_a_training_and_its_predictions_show_how_far_they_are(lines, dataset, tmp_path):
    best, *_ = run(dataset, tmp_path, recipe=RECIPE | {"quantiles": [0.16, 0.5, 0.84]})
    predict_test(best, dataset[1]["test"], tmp_path / "p.parquet", "cpu", "float32", 1)
    rate = r"\d+ %, [\d,.]+ jets/s"
    for pattern in (
        rf"reading train jets, {rate}, \d+ s left",
        rf"epoch 1 of 2, {rate}, loss 0\.\d+, learning rate 0\.001, \d+ s left",
        rf"validation, {rate}",
        rf"epoch 2 of 2, {rate}, loss 0\.\d+, learning rate [\d.]+, MAE [\d.]+ GeV, MRE [\d.]+%",
        rf"calibration, {rate}",
        rf"test jets, {rate}",
    ):
        assert re.search(pattern, lines()), pattern


def test_the_time_left_is_that_of_all_epochs(monkeypatch):
    now = 0.0
    monkeypatch.setattr("topmass.progress.time.monotonic", lambda: now)
    with Progress("epoch 1 of 3", 300, remaining_after=600) as progress:
        progress.update(100)
        now = 10.0
        assert progress.line() == "epoch 1 of 3, 33 %, 10 jets/s, 80 s left"


def test_trees_show_their_rounds(lines, dataset, tmp_path):
    statistics, shards = dataset
    train_gbdt(shards, statistics, {"trees_jet": tmp_path / "trees.parquet"}, {"trees_jet": tmp_path / "trees.txt"}, 1)
    assert "features of train jets, 33 %, " in lines()
    assert re.search(r"trees_jet, 2 rounds, [\d,.]+ rounds/s, validation MAE [\d.]+ GeV", lines())


def test_other_peoples_jets_show_how_far_they_are(lines, tmp_path):
    write_dense(tmp_path / "jets.parquet", make_jets(20), LAYERS, row_group=5)
    convert(tmp_path / "jets.parquet", tmp_path / "00007.parquet", layers=[layer.name for layer in LAYERS])
    assert "block 00007, " in lines()


def test_simulated_jets_show_how_far_they_are(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(simulate, "produce", lambda *settings: iter([make_jets(30, number) for number in range(5)]))
    simulate.simulate(tmp_path / "00003.parquet", 3, 100, 1, {})
    assert re.search(r"block 3, 30 %, [\d,]+ jets/s, 0 s left", lines()) and "block 3, 90 %" in lines()
