"""Estimate of a run's remaining time from Snakemake's log records."""

import csv
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Set
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from snakemake_interface_logger_plugins.common import LogEvent

BENCHMARKS = Path("results/benchmark")
"""Folder of the benchmarks of earlier jobs, by rule."""
MAX_EARLIER_JOBS = 50
"""Most earlier jobs of a rule that are averaged."""
BLOCKS = 15
SECONDS_OF_A_BLOCK = {"simulate": 42.0, "convert": 30.0, "download": 60.0, "make_shards": 2.4}
"""Seconds of a job for one block or file in the default configuration on two idle cores."""
SECONDS_FOR_EACH_BLOCK = {
    "compute_statistics": 0.6,
    "train": 26.0,
    "predict_test": 0.7,
    "train_gbdt": 4.0,
    "evaluate": 0.5,
}
"""Seconds per block of a job for an entire dataset."""
OF_DATA = {*SECONDS_OF_A_BLOCK, *SECONDS_FOR_EACH_BLOCK}
SECONDS = {"trial": 40.0, "export_onnx": 30.0, "predict": 60.0, "all": 0.0, "results": 0.0, "export": 0.0}
SECONDS_OF_OTHERS = 5.0
SECONDS_TO_START = 2.0
"""Fewest seconds of any job."""
PRIOR_SECONDS = 30.0
"""Weight of the expected speed of short jobs, in seconds of measurement."""
THREADS = dict.fromkeys(("train", "predict_test", "predict", "train_gbdt", "export_onnx"), 8)
"""Threads that these rules request; all others use one."""


class RunningJob(NamedTuple):
    """Running job: rule and start time in seconds of the monotonic clock."""

    rule: str
    start: float


class TimeLeft:
    """Estimate of the remaining time, updated by the log records of a run.

    The prior time of a job is that of its rule in earlier runs, or a typical value. It is multiplied by the ratio of
    measured to expected times so far. The result is averaged with the times of the rule's finished jobs, each with
    equal weight. Jobs whose time depends on the amount of data have a separate ratio, which includes the block size.
    """

    def __init__(self) -> None:
        self.cores, self.nodes = 1, 0
        self.waiting: Counter[str] = Counter()
        self.before: dict[str, float] = {}
        self.running: dict[int, RunningJob] = {}
        self.took: defaultdict[str, list[float]] = defaultdict(list)

    def follow(self, record: logging.LogRecord) -> None:
        """Update the state of jobs from a log record."""
        event, now = getattr(record, "event", None), time.monotonic()
        if event is LogEvent.RESOURCES_INFO:
            self.cores, self.nodes = getattr(record, "cores", self.cores), getattr(record, "nodes", self.nodes)
        elif event is LogEvent.RUN_INFO:
            self.waiting = Counter({rule: number for rule, number in record.stats.items() if rule != "total"})
            self.before = {rule: expected(rule, self.waiting) for rule in self.waiting}
        elif event is LogEvent.JOB_INFO:
            self.running[record.jobid] = RunningJob(record.rule_name, now)
            self.waiting[record.rule_name] -= 1
        elif event is LogEvent.JOB_ERROR and record.jobid in self.running:
            self.waiting[self.running.pop(record.jobid).rule] += 1
        elif event is LogEvent.JOB_FINISHED and record.job_id in self.running:
            job = self.running.pop(record.job_id)
            self.took[job.rule].append(now - job.start)

    def seconds(self) -> float:
        """Return the time left in seconds; stages run one after another, the jobs of a stage in parallel."""
        work: defaultdict[str, float] = defaultdict(float)
        longest: defaultdict[str, float] = defaultdict(float)
        of_data, now = self.speed(OF_DATA), time.monotonic()
        # Jobs independent of the data: a slow machine slows them, but fewer jets do not speed them up.
        of_others = self.speed(self.before.keys() - OF_DATA, max(1.0, of_data), PRIOR_SECONDS)
        for rule, before in self.before.items():
            took = self.took.get(rule, [])
            least = min(before, SECONDS_TO_START) * of_others
            alone = max(before * of_data, least) if rule in OF_DATA else before * of_others
            each = (alone + sum(took)) / (1 + len(took))
            # A job that exceeds its expected time is assumed to need another tenth of it.
            rests = [max(each - (now - job.start), each / 10) for job in self.running.values() if job.rule == rule]
            stage, waiting = rule.partition("_")[0], max(0, self.waiting[rule])
            work[stage] += (waiting * each + sum(rests)) * self.part(rule)
            longest[stage] = max(longest[stage], *rests, each if waiting else 0.0, 0.0)
        return sum(max(work[stage], longest[stage]) for stage in work)

    def speed(self, rules: Set[str], before: float = 1.0, doubt: float = 1e-3) -> float:
        """Return the ratio of measured to expected times of these rules.

        The rule `trial` is excluded, because it has few jets and may or may not compile. The rule `train` is excluded,
        because its time depends on the settings.

        Args:
            rules: Rules to include.
            before: Prior value of the ratio.
            doubt: Weight of the prior in seconds of measurement.
        """
        rules = (rules & self.took.keys() & self.before.keys()) - {"trial", "train"}
        measured = sum(sum(self.took[rule]) for rule in rules)
        expected = sum(len(self.took[rule]) * self.before[rule] for rule in rules)
        return (measured + doubt * before) / (expected + doubt)

    def part(self, rule: str) -> float:
        """Return the fraction of the machine's cores, or of the nodes, that a job of this rule uses."""
        return 1 / self.nodes if self.nodes else min(1.0, THREADS.get(rule, 1) / self.cores)


def expected(rule: str, jobs: Counter[str]) -> float:
    """Return the mean time of a rule's jobs in earlier runs, else a typical time, in seconds.

    Args:
        rule: Name of the rule.
        jobs: Number of jobs of each rule in this run.
    """
    if times := list(islice(earlier(rule), MAX_EARLIER_JOBS)):
        return sum(times) / len(times)
    # If statistics are recomputed, so are all shards, and their number per dataset is its number of blocks.
    blocks = jobs["make_shards"] / jobs["compute_statistics"] if jobs["compute_statistics"] else BLOCKS
    if rule in SECONDS_FOR_EACH_BLOCK:
        return SECONDS_FOR_EACH_BLOCK[rule] * blocks
    return (SECONDS_OF_A_BLOCK | SECONDS).get(rule, SECONDS_OF_OTHERS)


def earlier(rule: str) -> Iterator[float]:
    """Yield the seconds of a rule's jobs in earlier runs; unreadable benchmarks are ignored."""
    for file in [BENCHMARKS / f"{rule}.tsv", *(BENCHMARKS / rule).rglob("*.tsv")]:
        with suppress(OSError, ValueError, KeyError), file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                yield float(row["s"])
