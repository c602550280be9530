"""Computing cost of each stage, from Snakemake's benchmark files."""

from pathlib import Path

import pandas as pd

from topmass.report.tables import Cell, Column, Table, report_parse_errors

BENCHMARK_COLUMNS = ["s", "cpu_time", "max_rss"]


def stage_costs(benchmarks: Path) -> pd.DataFrame:
    """Return the cost of each stage in the last run of each of its jobs.

    The columns are the number of `jobs`, their wall time `seconds` and CPU time `cpu_seconds`, and the largest resident
    memory `peak` of a job in MB. The index is the name of the stage, which is that of its file or folder in
    `benchmarks`. A job too short to be measured counts as zero.
    """
    paths = sorted(benchmarks.rglob("*.tsv"))
    jobs = [read_benchmark(path).assign(stage=path.relative_to(benchmarks).parts[0]) for path in paths]
    stages = pd.concat([pd.DataFrame(columns=[*BENCHMARK_COLUMNS, "stage"]), *jobs]).infer_objects().groupby("stage")
    costs = stages.agg(
        jobs=("s", "size"), seconds=("s", "sum"), cpu_seconds=("cpu_time", "sum"), peak=("max_rss", "max")
    )
    return costs.rename(lambda name: name.removesuffix(".tsv"))


def read_benchmark(path: Path) -> pd.DataFrame:
    """Return seconds, CPU seconds and peak MB of each job; BadInput if the file is not a benchmark."""
    with report_parse_errors(path, "a benchmark"):
        jobs = pd.read_csv(path, sep="\t", na_values="-")
        return jobs[BENCHMARK_COLUMNS].astype(float).fillna(0)


def cost_table(costs: pd.DataFrame) -> Table:
    """Return a table of `stage_costs`, longest stage first."""
    columns = [Column(title) for title in ("stage", "jobs", "seconds", "CPU seconds")]
    rows = [
        [
            cost.Index,
            *map(Cell, (f"{cost.jobs:,}", f"{cost.seconds:,.1f}", f"{cost.cpu_seconds:,.1f}", f"{cost.peak:,.0f}")),
        ]
        for cost in costs.sort_values("seconds", ascending=False, kind="stable").itertuples()
    ]
    return Table("The last run of each job in this folder", [*columns, Column("peak memory", "MB")], rows)
