"""The time left of a run, by Snakemake's log records of runs that never happened."""

import heapq
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from topmass.config.log_filter import BriefFilter

DEFAULT = [
    {"trial": [41.9]},
    {"simulate": [38.0, 40.6, 41.2, 35.2, 41.1, 35.9, 44.0, 46.8, 40.7, 38.2, 39.6, 44.9, 40.4, 42.1, 41.0]},
    {"compute_statistics": [8.6]},
    {"make_shards": [2.4] * 15},
    {"train": [390.0]},
    {"train_gbdt": [52.0]},
    {"predict_test": [10.0]},
    {"evaluate": [7.0]},
    {f"figure_{name}": [6.0] for name in ("images", "masses", "layers", "history", "predictions", "metrics", "errors")},
    {"model_card": [1.5]},
    {"report": [4.0], "workflow_report": [9.0]},
    {"all": [0.0]},
]
"""Seconds of the jobs of the default workflow on two cores, stage by stage: a stage waits for the one before."""
ALL_CORES = {"train", "train_gbdt", "predict_test"}


@pytest.fixture
def clock(monkeypatch):
    """The monotonic clock: a list with its time."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def record(event: LogEvent, text: str | None = None, **facts) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text, "event": event} | facts)


def jobs(stage: Mapping[str, list[float]], cores: int) -> Iterator[tuple[float, float, str]]:
    """Start, end and rule of each job of a stage, in the order of the starts."""
    free = [0.0] * cores
    for rule, times in stage.items():
        for seconds in times:
            if rule in ALL_CORES:
                free = [max(free)] * cores
            start = heapq.heappop(free)
            end = start + seconds
            free = [end] * cores if rule in ALL_CORES else free
            if rule not in ALL_CORES:
                heapq.heappush(free, end)
            yield start, end, rule


def replay(run: list[dict], clock: list[float], cores: int = 2) -> list[tuple[float, float, str]]:
    """Let a run happen: the part of it that is over, the seconds left, and the line, for each job that has ended."""
    brief = BriefFilter(logging.Formatter(), dry=False)
    first = clock[0]
    events, number, start = [], 0, first
    for stage in run:
        made = list(jobs(stage, cores))
        for begins, ends, rule in made:
            number += 1
            events += [(start + begins, 1, number, rule), (start + ends, 0, number, rule)]
        start += max(ends for _, ends, _ in made)
    stats = {rule: len(times) for stage in run for rule, times in stage.items()} | {"total": number}
    brief.filter(record(LogEvent.RESOURCES_INFO, "Provided cores", cores=cores))
    brief.filter(record(LogEvent.RESOURCES_INFO, "Rules claiming more threads will be scaled down."))
    brief.filter(record(LogEvent.RUN_INFO, "Job stats", stats=stats))
    done, lines = 0, []
    for clock[0], begins, job, rule in sorted(events, key=lambda event: (event[0], event[1])):
        if begins:
            brief.filter(record(LogEvent.JOB_INFO, jobid=job, rule_name=rule, threads=1))
        else:
            done += 1
            brief.filter(record(LogEvent.JOB_FINISHED, f"Finished jobid: {job} (Rule: {rule})", job_id=job))
            line = brief.format(record(LogEvent.PROGRESS, done=done, total=number))
            lines.append(((clock[0] - first) / (start - first), start - clock[0], line))
    return lines


def wrong(lines: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Lines after a quarter of the run that are wrong by more than 40 % and the half minute that is rounded away."""
    found = []
    for share, left, line in lines:
        said = 60 * float(minutes[1]) if (minutes := re.search(r"about (\d+) min left", line)) else 30
        if share >= 0.25 and left > 0 and abs(said - left) > 0.4 * left + 30:
            found.append((share, left, line))
    return found


def scaled(run: list[dict], factors: Mapping[str, float], other: float = 1.0) -> list[dict]:
    """The same run where rules take longer by these factors."""
    return [
        {rule: [factors.get(rule, other) * time for time in times] for rule, times in stage.items()} for stage in run
    ]


def write_benchmarks(run: list[dict], folder: Path) -> None:
    """What this run would have left, as Snakemake writes it."""
    for stage in run:
        for rule, times in stage.items():
            for number, seconds in enumerate(times):
                file = folder / f"results/benchmark/{rule}/gun/{number:05d}.tsv"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"s\th:m:s\tmax_rss\n{seconds:.4f}\t0:00:00\t-\n")


MACHINES = {
    "this machine": DEFAULT,
    "a machine three times as slow": scaled(DEFAULT, {}, 3),
    "a machine twice as fast": scaled(DEFAULT, {}, 0.5),
}


@pytest.mark.parametrize("run", MACHINES.values(), ids=MACHINES)
def test_the_time_left_of_a_default_run_is_right_from_a_quarter_on(run, clock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = replay(run, clock)
    assert wrong(lines) == []
    assert lines[-1][2].endswith("] 49 of 49 all") or lines[-1][2].split("] ")[1].startswith(f"{len(lines)} of")
    assert "left" not in lines[-1][2]


def test_jobs_take_what_they_took_in_an_earlier_run(clock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = scaled(DEFAULT, {"train": 9, "figure_metrics": 20})
    write_benchmarks(other, tmp_path)
    assert wrong(replay(other, clock)) == []
    # The same on another machine.
    assert wrong(replay(scaled(other, {}, 2.5), clock)) == []


def test_a_benchmark_that_cannot_be_read_is_nothing(clock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results/benchmark/train/fast"
    folder.mkdir(parents=True)
    for name, content in {"1": b"\xff\xfe", "2": b"s\tx\nnan?\t1\n", "3": b"", "4": b"x\ty\n1\t2\n"}.items():
        (folder / f"{name}.tsv").write_bytes(content)
    assert wrong(replay(DEFAULT, clock)) == []


def test_more_blocks_take_longer_to_train_on(clock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = {"compute_statistics": 4.0, "train": 4.0, "train_gbdt": 4.0, "predict_test": 4.0, "evaluate": 4.0}
    larger = [
        {rule: times * 4 if rule in ("simulate", "make_shards") else times for rule, times in stage.items()}
        for stage in scaled(DEFAULT, whole)
    ]
    assert wrong(replay(larger, clock)) == []


def test_few_jets_make_a_short_run_but_no_shorter_figures(clock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of_data = (
        "trial",
        "simulate",
        "compute_statistics",
        "make_shards",
        "train",
        "train_gbdt",
        "predict_test",
        "evaluate",
    )
    few = [
        {rule: [max(2.5, time / 50) if rule in of_data else time for time in times] for rule, times in stage.items()}
        for stage in DEFAULT
    ]
    assert wrong(replay(few, clock)) == []


def test_jobs_side_by_side_take_the_longest_of_them(clock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert wrong(replay(DEFAULT, clock, cores=16)) == []


def test_a_job_that_failed_counts_again(clock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    brief = BriefFilter(logging.Formatter(), dry=False)
    brief.filter(record(LogEvent.RUN_INFO, "Job stats", stats={"train": 2, "total": 2}))
    said = []
    for event, after in ((LogEvent.JOB_INFO, 200), (LogEvent.JOB_ERROR, 1), (LogEvent.JOB_INFO, 0)):
        brief.filter(record(event, jobid=1, rule_name="train"))
        clock[0] += after
        said.append(brief.time_left.seconds())
    assert said[0] < said[1] == said[2]
