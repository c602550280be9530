"""Self-contained report of a run."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from topmass.console import log_info, stage
from topmass.evaluation.comparison import read_comparison
from topmass.evaluation.score import baselines_not_beaten, read_metrics
from topmass.report import provenance
from topmass.report.comparison_tables import comparison_tables
from topmass.report.cost_table import timings
from topmass.report.embedded_figures import SizeBudget, by_run, load_figure
from topmass.report.interval_tables import interval_tables
from topmass.report.page import MAX_REPORT_BYTES, TEXT, render
from topmass.report.score_tables import DEFINITIONS, name_of, score_tables
from topmass.report.settings import configured_inputs, experiments_of, merge, read_config, setting_differences
from topmass.report.summary import run_title
from topmass.report.tables import Table, report_parse_errors
from topmass.report.training_history import history_table, training_table


def write_report(
    page: Path,
    repository: Path,
    metrics: Sequence[Path],
    histories: Sequence[Path],
    trainings: Sequence[Path],
    comparison: Sequence[Path],
    figures: Mapping[str, Sequence[Path]],
    default: Mapping,
    packages: Mapping[str, str],
) -> None:
    """Write the report of these runs, with the settings that trainings and metrics recorded.

    All content lies in the folder of the report. Figures are embedded until the size budget is used up.

    Args:
        page: Report to write.
        repository: Root of the repository.
        metrics: Metrics of each run.
        histories: Training history of each run.
        trainings: Record of each training.
        comparison: `comparison.json`, or empty for a single run.
        figures: Figures of the sections "comparison", "jets", "results" and "history".
        default: Configuration with which the settings are compared.
        packages: Pinned versions by package.

    Raises:
        BadInput: A file has another form; the message names it.
    """
    runs = [read_run(path) for path in metrics]
    config = merge([*map(read_config, trainings), *map(evaluation_settings, runs)])
    inputs = configured_inputs(config)
    room = SizeBudget(MAX_REPORT_BYTES - TEXT)
    captions = repository / "workflow/report"
    shown = {name: [load_figure(path, page, captions, room) for path in paths] for name, paths in figures.items()}
    linked = sum(figure.source is None for section in shown.values() for figure in section)
    if linked:
        log_info(
            f"{linked} figures are linked: with them the page would have more than {MAX_REPORT_BYTES / 1e6:.0f} MB"
        )
    # The job of the report itself has not finished.
    costs = [cost for cost in timings(page.parent / "benchmark") if cost.stage != page.stem]
    parts = {
        "summary": run_title(runs, experiments_of(config)),
        "scores": [*score_tables(runs), *interval_tables(runs)],
        "meanings": DEFINITIONS,
        "shortfalls": [f"{name_of(run)}: {line}" for run in runs if (line := baselines_not_beaten(run))],
        "spreadsheets": [(name_of(run), f"evaluate/{run['experiment']}/{run['seed']}/metrics.csv") for run in runs],
        "cards": [(name_of(run), f"train/{run['experiment']}/{run['seed']}/MODEL.md") for run in runs],
        "comparison": [table for path in comparison for table in tables_of(path)],
        "histories": history_table(histories),
        "figures": {name: list(by_run(section)) for name, section in shown.items()},
        "linked": linked,
        "settings": provenance.settings_table(setting_differences(config, default)),
        "inputs": provenance.input_table(inputs, page.parent),
        "simulations": [each for each in inputs if each["simulation"]],
        "packages": provenance.packages(packages),
        "trainings": training_table(trainings),
        "models": [(name_of(run), run["model"]) for run in runs],
        "costs": provenance.cost_table(costs),
        "machine": provenance.machine(),
        "commit": provenance.commit(repository),
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }
    size = render(page, captions, parts)
    log_info(f"{page}, {size / 1e6:.1f} MB")


def read_run(path: Path) -> dict:
    """Load `metrics.json`; BadInput if the tables of the report cannot be made from it."""
    run = read_metrics(path)
    with report_parse_errors(path, "all metrics of a network"):
        score_tables([run])
        interval_tables([run])
    return run


def evaluation_settings(run: Mapping) -> dict:
    """Return the evaluation settings in the metrics of a run, by their configuration keys."""
    bins = {f"{name}_bins": edges for name, edges in run["bins"].items()}
    return {"evaluate": {**bins, "min_mass": run["min_mass"], "bootstrap": run["bootstrap"]}}


def tables_of(comparison: Path) -> list[Table]:
    """Return the tables of `comparison.json`; BadInput if it has another form."""
    with report_parse_errors(comparison, "a comparison of experiments"):
        return comparison_tables(read_comparison(comparison))


if __name__ == "__main__":
    with stage("report", snakemake.log[0]):
        given = snakemake.input
        write_report(
            Path(snakemake.output[0]),
            Path(snakemake.params.repository),
            [Path(path) for path in given.metrics],
            [Path(path) for path in given.histories],
            [Path(path) for path in given.trainings],
            [Path(path) for path in given.comparison],
            {
                name: [Path(path) for path in given[f"{name}_figures"]]
                for name in ("comparison", "jets", "results", "history")
            },
            snakemake.params.default,
            snakemake.params.packages,
        )
