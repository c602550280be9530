"""Computing cost of each stage, from Snakemake's benchmark files."""

import csv
from dataclasses import dataclass
from pathlib import Path

from topmass.report.tables import report_parse_errors


@dataclass(frozen=True)
class Cost:
    """Computing cost of a stage in the last run of each of its jobs.

    Attributes:
        stage: Name of the stage.
        jobs: Number of jobs.
        seconds: Wall time of all jobs in seconds.
        cpu_seconds: CPU time of all jobs in seconds.
        peak: Largest peak resident memory of a job in MB.
    """

    stage: str
    jobs: int
    seconds: float
    cpu_seconds: float
    peak: float


def timings(benchmarks: Path) -> list[Cost]:
    """Return the cost of each stage with a benchmark in this folder, sorted by name.

    Raises:
        BadInput: If a file is not a benchmark.
    """
    found = []
    for stage in sorted(benchmarks.iterdir()) if benchmarks.is_dir() else ():
        jobs = [
            job
            for file in ([stage] if stage.is_file() else sorted(stage.rglob("*.tsv")))
            for job in read_benchmark(file)
        ]
        if jobs:
            seconds, cpu_seconds, peak = zip(*jobs, strict=True)
            found.append(Cost(stage.stem, len(jobs), sum(seconds), sum(cpu_seconds), max(peak)))
    return found


def read_benchmark(file: Path) -> list[tuple[float, float, float]]:
    """Return seconds, CPU seconds and peak MB of each job; a job too short to be measured counts as zero.

    Raises:
        BadInput: If the file is not a benchmark.
    """
    with report_parse_errors(file, "a benchmark"):
        rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t")
        return [tuple(float(row[name].replace("-", "0")) for name in ("s", "cpu_time", "max_rss")) for row in rows]
