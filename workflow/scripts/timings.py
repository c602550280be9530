"""Print what each stage cost in the last run of each of its jobs, from the benchmarks that Snakemake wrote."""

import sys
from pathlib import Path

import pandas as pd

COLUMNS = {"s": "seconds", "cpu_time": "CPU seconds", "max_rss": "peak MB"}
"""Snakemake's names, and ours; jobs add up in time, and the largest counts in memory."""


def timings(benchmarks: Path) -> pd.DataFrame:
    """One row a stage: jobs, seconds and CPU seconds of all jobs together, peak resident memory of the largest."""
    rows = []
    for stage in sorted(benchmarks.iterdir()):
        files = [stage] if stage.suffix == ".tsv" else sorted(stage.rglob("*.tsv"))
        if not files:
            continue
        jobs = pd.concat([pd.read_csv(file, sep="\t", na_values="-") for file in files])
        rows.append(
            {"stage": stage.stem, "jobs": len(jobs), **{COLUMNS[name]: jobs[name].sum() for name in ("s", "cpu_time")}}
        )
        rows[-1][COLUMNS["max_rss"]] = jobs["max_rss"].max()
    return pd.DataFrame(rows).set_index("stage")


if __name__ == "__main__":
    folder = Path("results/benchmark")
    if not folder.exists():
        sys.exit(f"{folder}: no such folder; run the workflow first")
    print(timings(folder).round(1).to_string())
