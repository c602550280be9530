"""What each stage cost in the last run of each of its jobs, from the benchmarks that Snakemake wrote."""

import csv
from dataclasses import dataclass
from pathlib import Path

from topmass.reporting.tables import reading


@dataclass(frozen=True)
class Cost:
    """Of a stage: jobs, seconds and CPU seconds of all of them together, peak resident memory of the largest in MB."""

    stage: str
    jobs: int
    seconds: float
    cpu_seconds: float
    peak: float


def timings(benchmarks: Path) -> list[Cost]:
    """Of each stage with a benchmark in this folder, in the order of their names. BadInput if a file is none."""
    found = []
    for stage in sorted(benchmarks.iterdir()) if benchmarks.is_dir() else ():
        jobs = [job for file in ([stage] if stage.is_file() else sorted(stage.rglob("*.tsv"))) for job in read(file)]
        if jobs:
            seconds, cpu_seconds, peak = zip(*jobs, strict=True)
            found.append(Cost(stage.stem, len(jobs), sum(seconds), sum(cpu_seconds), max(peak)))
    return found


def read(file: Path) -> list[tuple[float, float, float]]:
    """Seconds, CPU seconds and peak MB of each job in a benchmark; what was too short to be measured is nothing."""
    with reading(file, "a benchmark"):
        rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t")
        return [tuple(float(row[name].replace("-", "0")) for name in ("s", "cpu_time", "max_rss")) for row in rows]
