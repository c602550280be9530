"""Show a whole run on one page that needs nothing else."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from topmass.console import say, stage
from topmass.reporting import provenance
from topmass.reporting.comparison import comparison_tables
from topmass.reporting.figures import Room, by_run, load
from topmass.reporting.history import history_table, training_table
from topmass.reporting.intervals import interval_tables
from topmass.reporting.page import MOST, TEXT, render
from topmass.reporting.scores import MEANINGS, name_of, score_tables
from topmass.reporting.summary import summary
from topmass.reporting.tables import Table, reading
from topmass.reporting.timings import timings
from topmass.scoring.comparison import read_comparison
from topmass.scoring.score import read_metrics, shortfall


def make_page(
    page: Path,
    house: Path,
    metrics: Sequence[Path],
    histories: Sequence[Path],
    trainings: Sequence[Path],
    comparison: Sequence[Path],
    figures: Mapping[str, Sequence[Path]],
    about: Mapping,
) -> None:
    """Write the page of these runs; what it shows lies in the folder of the page.

    `house` is the repository. `comparison` is comparison.json, or nothing where there is a single run. `figures` are
    those of the sections "comparison", "jets", "results" and "history", the first of which find room on the page.
    `about` has `experiments`, `settings`, `inputs` and `packages`, see workflow/rules/report.smk. BadInput names the
    file that cannot be used.
    """
    runs = [read_run(path) for path in metrics]
    room = Room(MOST - TEXT)
    captions = house / "workflow/report"
    shown = {name: [load(path, page, captions, room) for path in paths] for name, paths in figures.items()}
    linked = sum(figure.source is None for section in shown.values() for figure in section)
    if linked:
        say(f"{linked} figures are linked: with them the page would have more than {MOST / 1e6:.0f} MB")
    # Its own is not over.
    costs = [cost for cost in timings(page.parent / "benchmark") if cost.stage != page.stem]
    parts = {
        "summary": summary(runs, about["experiments"]),
        "scores": [*score_tables(runs), *interval_tables(runs)],
        "meanings": MEANINGS,
        "shortfalls": [f"{name_of(run)}: {line}" for run in runs if (line := shortfall(run))],
        "spreadsheets": [(name_of(run), f"evaluate/{run['experiment']}/{run['seed']}/metrics.csv") for run in runs],
        "cards": [(name_of(run), f"train/{run['experiment']}/{run['seed']}/MODEL.md") for run in runs],
        "comparison": [table for path in comparison for table in tables_of(path)],
        "histories": history_table(histories),
        "figures": {name: list(by_run(section)) for name, section in shown.items()},
        "linked": linked,
        "settings": provenance.settings_table(about["settings"]),
        "inputs": provenance.input_table(about["inputs"], page.parent),
        "simulations": [each for each in about["inputs"] if each["simulation"]],
        "packages": provenance.packages(about["packages"]),
        "trainings": training_table(trainings),
        "costs": provenance.cost_table(costs),
        "machine": provenance.machine(),
        "commit": provenance.commit(house),
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }
    size = render(page, captions, parts)
    say(f"{page}, {size / 1e6:.1f} MB")


def read_run(path: Path) -> dict:
    """The content of metrics.json; BadInput if the page cannot be made of it."""
    run = read_metrics(path)
    with reading(path, "all metrics of a network"):
        score_tables([run])
        interval_tables([run])
    return run


def tables_of(comparison: Path) -> list[Table]:
    """What comparison.json says; BadInput if it has another form."""
    with reading(comparison, "a comparison of experiments"):
        return comparison_tables(read_comparison(comparison))


if __name__ == "__main__":
    with stage("report", snakemake.log[0]):
        given = snakemake.input
        make_page(
            Path(snakemake.output[0]),
            Path(snakemake.params.house),
            [Path(path) for path in given.metrics],
            [Path(path) for path in given.histories],
            [Path(path) for path in given.trainings],
            [Path(path) for path in given.comparison],
            {
                name: [Path(path) for path in given[f"{name}_figures"]]
                for name in ("comparison", "jets", "results", "history")
            },
            {name: snakemake.params[name] for name in ("experiments", "settings", "inputs", "packages")},
        )
