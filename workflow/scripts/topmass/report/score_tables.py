"""Tables of scores and of comparisons of experiments; `run` is the content of a metrics.json."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import pandas as pd

from topmass.evaluation.intervals import CELLS, MIN_JETS_PER_BIN, worst_coverage_bin
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.regions import CONTAINMENT
from topmass.evaluation.score import MAIN_METRICS, TITLES, inclusive
from topmass.evaluation.score_frame import ALL_METRICS, score_frame
from topmass.report.tables import Column, Table, count_cell, interval_cell, pivot, seeds_cell

ORDER = (*MAIN_METRICS, *(name for name in METRICS if name not in MAIN_METRICS))
"""Order of the metrics, most important first."""
ACRONYMS = ("mae", "mre", "rmse")
COST_COLUMNS = {"epochs": "epochs", "seconds": "seconds", "jets_per_second": "jets/s"}
"""Titles of the training cost, by its names in comparison.json."""


def column_of(metric: str, suffix: str = "") -> Column:
    """Return the column of a metric, with a suffix of its title."""
    title = metric.upper() if metric in ACRONYMS else metric.replace("_", " ")
    return Column(title + suffix, ALL_METRICS[metric].unit)


DEFINITIONS = {name: (column_of(name).title, METRICS[name].title) for name in ORDER}
"""Title and definition of each metric."""


def name_of(run: Mapping) -> str:
    """Return the name of a run in text."""
    return f"{run['experiment']}, seed {run['seed']}"


def score_tables(runs: Sequence[Mapping]) -> list[Table]:
    """Return the tables for each set of test jets, with a row for each network and each baseline.

    For each set there is a table for all jets. Tables of paired differences and of containment categories follow where
    available. Consecutive runs with the same baseline scores share a table.
    """
    tables = []
    for _, group in groupby(runs, baseline_scores):
        same_jets = list(group)
        caption = f"{inclusive(same_jets[0])['jets']:,} test jets; {intervals_by_bootstrap(same_jets)}"
        tables += [score_table(caption, same_jets), *difference_tables(same_jets), *containment_tables(same_jets)]
    return tables


def baseline_scores(run: Mapping) -> list:
    """Return the number of test jets and the baseline scores; equal for networks with the same test jets."""
    region = inclusive(run)
    return [region["jets"], {name: scores for name, scores in region["scores"].items() if name != "network"}]


def intervals_by_bootstrap(runs: Sequence[Mapping]) -> str:
    """Return the part of a caption on the intervals of scores."""
    return f"in brackets the {runs[0]['bootstrap']['level']:.0%} interval, by bootstrap over events"


def scores_of(runs: Sequence[Mapping]) -> pd.DataFrame:
    """Return the scores of each run's network, then those of the common baselines, with the column `row`."""
    frames = [score_frame(run["regions"]) for run in runs]
    networks = [
        frame[frame["estimator"] == "network"].assign(row=f"network {name_of(run)}")
        for run, frame in zip(runs, frames, strict=True)
    ]
    others = frames[0][frames[0]["estimator"] != "network"]
    return pd.concat([*networks, others.assign(row=others["estimator"].map(TITLES))])


def score_table(caption: str, runs: Sequence[Mapping], metrics: Sequence[str] = ORDER) -> Table:
    """Return the table of metrics for all jets; all runs have the same baseline scores."""
    return pivot(caption, "estimator", scores_of(runs), {("all", name): column_of(name) for name in metrics})


def difference_tables(runs: Sequence[Mapping]) -> list[Table]:
    """Return the table of differences between each network and the strongest baseline; an empty list without any."""
    differences = [
        score_frame([inclusive(run) | {"scores": {name: scores}}]).assign(
            row=f"network {name_of(run)} − {TITLES[name]}"
        )
        for run in runs
        for name, scores in run.get("differences", {}).items()
    ]
    if not differences:
        return []
    caption = f"Differences on the same jets; {intervals_by_bootstrap(runs)}"
    columns = {("all", name): column_of(name) for name in MAIN_METRICS}
    return [pivot(caption, "difference", pd.concat(differences), columns)]


def containment_tables(runs: Sequence[Mapping]) -> list[Table]:
    """Return the table of `MAIN_METRICS` by containment category; an empty list if containment is unknown."""
    counts = {region["by"]: region["jets"] for region in runs[0]["regions"] if region["by"] in CONTAINMENT}
    if not counts:
        return []
    sizes = ", ".join(f"{jets:,} {by}" for by, jets in counts.items())
    caption = f"The same by containment: all three quarks of the top in the window ({sizes})"
    columns = {(by, name): column_of(name, f", {by}") for by in counts for name in MAIN_METRICS}
    return [pivot(caption, "estimator", scores_of(runs), columns)]


def interval_tables(runs: Sequence[Mapping]) -> list[Table]:
    """Return one table with a row for each network that predicts intervals; an empty list if there is none."""
    frames = [interval_frame(run) for run in runs if run["intervals"]]
    if not frames:
        return []
    scores = pd.concat(frames)
    parts = [
        ("all", ("coverage", "mean_width", "median_width")),
        *((by, ("coverage", "mean_width")) for by in CONTAINMENT),
    ]
    columns = {("nominal", "coverage"): Column("nominal coverage", "%")}
    columns |= {
        (by, name): column_of(name, "" if by == "all" else f", {by}")
        for by, metrics in parts
        if by in set(scores["by"])
        for name in metrics
    }
    columns |= {(f"worst {by}", "coverage"): Column(f"worst coverage, {title}", "%") for by, title in CELLS.items()}
    caption = "Predicted intervals; the worst coverage is the one furthest from nominal among bins with at least"
    return [pivot(f"{caption} {MIN_JETS_PER_BIN} jets", "estimator", scores, columns)]


def interval_frame(run: Mapping) -> pd.DataFrame:
    """Return the scores of a run's intervals; the nominal coverage and the worst bins are additional regions."""
    intervals = run["intervals"]
    worst = [cell | {"by": f"worst {by}"} for by in CELLS if (cell := worst_coverage_bin(intervals, by))]
    scores = score_frame([*intervals["regions"], *worst])
    nominal = {"by": "nominal", "metric": "coverage", "value": intervals["level"]}
    return pd.concat([scores, pd.DataFrame([nominal])]).assign(row=f"network {name_of(run)}")


def comparison_tables(comparison: Mapping) -> list[Table]:
    """Return tables of scores, differences to the first experiment, responses and trainings from comparison.json."""
    rows = comparison["rows"]
    metrics = {name: column_of(name) for name in MAIN_METRICS}
    scores = Table(
        "Means over seeds ± standard deviation",
        [Column("experiment"), Column("seeds"), Column("test jets"), *metrics.values()],
        [
            [
                *(row["experiment"], count_cell(len(row["seeds"])), count_cell(row["test_jets"])),
                *(seeds_cell(row["scores"][name], column.unit) for name, column in metrics.items()),
            ]
            for row in rows
        ],
    )
    differences = Table(
        "Differences on the same jets; in brackets the interval, by bootstrap over events and seeds",
        [Column("difference"), Column("shared test jets"), *metrics.values()],
        [
            [
                *(f"{row['experiment']} − {comparison['reference']}", count_cell(row["shared_jets"])),
                *(interval_cell(row["difference"][name], column.unit) for name, column in metrics.items()),
            ]
            for row in rows
            if row["difference"]
        ],
    )
    return [scores, *([differences] if differences.rows else []), response_table(rows), trainings_table(rows)]


def response_table(rows: Sequence[Mapping]) -> Table:
    """Return the table of the median of predicted / generated mass minus one, in bins of generated mass."""
    # Experiments with other ranges of masses have other bins.
    spans = sorted({tuple(part["mass"]) for row in rows for part in row["by_mass"]})
    cells = []
    for row in rows:
        response = {tuple(part["mass"]): part["response"] for part in row["by_mass"]}
        biases = (response[span] | {"mean": response[span]["mean"] - 1} if span in response else None for span in spans)
        cells.append([row["experiment"], *(seeds_cell(bias, "%") if bias else "" for bias in biases)])
    columns = [Column(f"{low:g} to {high:g} GeV", "%") for low, high in spans]
    return Table("Median of predicted / generated − 1, by generated mass", [Column("experiment"), *columns], cells)


def trainings_table(rows: Sequence[Mapping]) -> Table:
    """Return the table of layers, networks, training jets and training cost."""
    heads = ("experiment", "layers", "network", "parameters", "training jets", *COST_COLUMNS.values())
    cells = []
    for row in rows:
        training = row["training"]
        numbers = (count_cell(training[name]) for name in ("parameters", "jets", *COST_COLUMNS))
        cells.append([row["experiment"], ", ".join(training["layers"]), training["network"], *numbers])
    return Table("Networks, training jets and speed", list(map(Column, heads)), cells)
