"""Self-contained report of a run."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from topmass.console import log_info, stage
from topmass.evaluation.comparison import read_comparison
from topmass.evaluation.fit_results import read_fit
from topmass.evaluation.sample_score import read_sample_scores
from topmass.evaluation.score import baselines_not_beaten, inclusive, read_metrics
from topmass.files import BadInput, write_atomically
from topmass.report import provenance
from topmass.report.cost_table import cost_table, stage_costs
from topmass.report.embedded_figures import load_figure
from topmass.report.fit_tables import fit_tables
from topmass.report.rendering import render
from topmass.report.sample_tables import sample_sections
from topmass.report.score_tables import DEFINITIONS, comparison_tables, interval_tables, name_of, score_tables
from topmass.report.settings import configured_inputs, experiments_of, merge, read_config, setting_differences
from topmass.report.tables import Table, report_parse_errors
from topmass.report.training_tables import history_table, training_table

MAX_REPORT_BYTES = 10_000_000
"""Largest size of the report in bytes."""
TEXT_BYTES = 1_000_000
"""Bytes of the report reserved for everything except figures."""


def write_report(
    page: Path,
    repository: Path,
    metrics: Sequence[Path],
    histories: Sequence[Path],
    trainings: Sequence[Path],
    samples: Sequence[Path],
    fits: Sequence[Path],
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
        samples: Scores of each run on each sample of `evaluate.samples`.
        fits: Fits of the top mass of each run, or empty.
        comparison: `comparison.json`, or empty for a single run.
        figures: Figures of the sections "comparison", "jets", "results", "samples", "fit" and "history".
        default: Configuration with which the settings are compared.
        packages: Pinned versions by package.

    Raises:
        BadInput: A file has another form; the message names it.
    """
    runs = [read_run(path) for path in metrics]
    config = merge([*map(read_config, trainings), *map(evaluation_settings, runs)])
    inputs = configured_inputs(config)
    templates = repository / "workflow/report"
    sample_scores = [read_scores_of_sample(path) for path in samples]
    remaining, linked, sections = MAX_REPORT_BYTES - TEXT_BYTES, 0, {name: [] for name in figures}
    for name, paths in figures.items():
        for path in paths:
            figure = load_figure(path, page, templates, remaining)
            sections[name].append(figure)
            remaining -= len(figure.source or "")
            linked += figure.source is None
    if linked:
        log_info(f"{linked} figures are linked, because the report is limited to {MAX_REPORT_BYTES / 1e6:.0f} MB")
    # The job of the report itself has not finished.
    costs = stage_costs(page.parent / "benchmark").drop(page.stem, errors="ignore")
    parts = {
        "summary": summary_sentence(runs, experiments_of(config)),
        "scores": [*score_tables(runs), *interval_tables(runs)],
        "definitions": list(DEFINITIONS.values()),
        "shortfalls": [f"{name_of(run)}: {line}" for run in runs if (line := baselines_not_beaten(run))],
        "spreadsheets": [(name_of(run), f"evaluate/{run['experiment']}/{run['seed']}/metrics.csv") for run in runs],
        "cards": [(name_of(run), f"train/{run['experiment']}/{run['seed']}/MODEL.md") for run in runs],
        "comparison": [table for path in comparison for table in read_comparison_tables(path)],
        "samples": sample_sections(sample_scores, sections["samples"]),
        "fits": [(name_of(fit), fit_tables(fit)) for fit in map(read_fit, fits)],
        "histories": history_table(histories),
        "figures": {
            name: [(subject, list(group)) for subject, group in groupby(section, attrgetter("subject"))]
            for name, section in sections.items()
        },
        "linked": linked,
        "settings": provenance.settings_table(setting_differences(config, default)),
        "inputs": provenance.input_table(inputs, page.parent),
        "simulations": [row for row in inputs if row["simulation"]],
        "packages": [(name, provenance.package_version(name, pin)) for name, pin in packages.items()],
        "trainings": training_table(trainings),
        "models": [(name_of(run), run["model"]) for run in runs],
        "costs": cost_table(costs),
        "machine": provenance.machine(),
        "commit": provenance.commit(repository),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }
    text = render(templates / "page.html.jinja", parts)
    size = len(text.encode())
    if size > MAX_REPORT_BYTES:
        limit = f"{size / 1e6:.1f} MB, more than {MAX_REPORT_BYTES / 1e6:.0f}"
        raise BadInput(f"{page}: {limit}; to fix: run fewer experiments or seeds at once")
    write_atomically(page, text)
    log_info(f"{page}, {size / 1e6:.1f} MB")


def summary_sentence(runs: Sequence[Mapping], experiments: Mapping[str, Mapping]) -> str:
    """Return a sentence on the trained networks (from `experiments_of`), their data and the number of test jets."""
    seeds = len({run["seed"] for run in runs})
    jets = {inclusive(run)["jets"] for run in runs}
    test_jets = f"{min(jets):,}" if len(jets) == 1 else f"{min(jets):,} to {max(jets):,}"
    if len(experiments) == 1:
        (experiment,) = experiments.values()
        trained = f"the network {experiment['network']} was trained on the layers {', '.join(experiment['layers'])}"
        trained += f" of the sample {experiment['sample']} for {experiment['epochs']} epochs at most"
        trained += f", with {seeds} random seeds," if seeds > 1 else ""
    else:
        trained = f"{len(experiments)} experiments ({', '.join(experiments)}) were trained"
        trained += f" with {seeds} random seeds each" if seeds > 1 else ""
    purpose = "To regress the mass of boosted top quarks from images of their jets"
    return f"{purpose}, {trained} and evaluated on {test_jets} test jets."


def read_run(path: Path) -> dict:
    """Load `metrics.json`; BadInput if the tables of the report cannot be made from it."""
    run = read_metrics(path)
    with report_parse_errors(path, "all metrics of a network"):
        score_tables([run])
        interval_tables([run])
    return run


def read_scores_of_sample(path: Path) -> dict:
    """Load the scores of a sample; BadInput if the tables of the report cannot be made from them."""
    scores = read_sample_scores(path)
    with report_parse_errors(path, "all scores of a sample"):
        sample_sections([scores], [])
    return scores


def evaluation_settings(run: Mapping) -> dict:
    """Return the evaluation settings in the metrics of a run, by their configuration keys."""
    bins = {f"{name}_bins": edges for name, edges in run["bins"].items()}
    return {"evaluate": {**bins, "min_mass": run["min_mass"], "bootstrap": run["bootstrap"]}}


def read_comparison_tables(comparison: Path) -> list[Table]:
    """Return the tables of `comparison.json`; BadInput if it has another form."""
    with report_parse_errors(comparison, "a comparison of experiments"):
        return comparison_tables(read_comparison(comparison))


if __name__ == "__main__":
    with stage("report", snakemake.log[0]):
        write_report(
            Path(snakemake.output[0]),
            Path(snakemake.params.repository),
            [Path(path) for path in snakemake.input.metrics],
            [Path(path) for path in snakemake.input.histories],
            [Path(path) for path in snakemake.input.trainings],
            [Path(path) for path in snakemake.input.samples],
            [Path(path) for path in snakemake.input.fits],
            [Path(path) for path in snakemake.input.comparison],
            {
                name: [Path(path) for path in snakemake.input[f"{name}_figures"]]
                for name in ("comparison", "jets", "results", "samples", "fit", "history")
            },
            snakemake.params.default,
            snakemake.params.packages,
        )
