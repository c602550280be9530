"""Comparison of experiments."""

import json
from collections.abc import Sequence
from pathlib import Path

from topmass.console import log_info, stage
from topmass.evaluation.comparison import (
    TRAINING_COST,
    Experiment,
    compare_experiments,
    comparison_csv,
    comparison_text,
)
from topmass.evaluation.predictions import Predictions
from topmass.evaluation.score import read_metrics
from topmass.files import BadInput, write_atomically
from topmass.report.training_tables import read_training


def compare(
    experiments: Sequence[str], seeds: Sequence[int], metrics: Sequence[Path], trainings: Sequence[Path],
    predictions: Sequence[Path], comparison: Path, spreadsheet: Path, summary: Path,
) -> None:  # fmt: skip
    """Write the comparison of experiments as JSON, as CSV and as a short table.

    The files `metrics`, `trainings` and `predictions` are ordered by experiment, then by seed.

    Args:
        experiments: Names of the experiments.
        seeds: Seeds of each experiment.
        metrics: Metrics of each experiment and seed.
        trainings: Records of the trainings.
        predictions: Predictions for the test jets.
        comparison: JSON file to write.
        spreadsheet: CSV file to write.
        summary: Text file to write.

    Raises:
        BadInput: Experiments share no test jets, or a file has another form.
    """
    files = list(zip(metrics, trainings, predictions, strict=True))
    runs = [files[i : i + len(seeds)] for i in range(0, len(files), len(seeds))]
    content = compare_experiments([read(name, seeds, paths) for name, paths in zip(experiments, runs, strict=True)])
    write_atomically(comparison, json.dumps(content, indent=2) + "\n")
    write_atomically(spreadsheet, comparison_csv(content))
    write_atomically(summary, comparison_text(content))
    log_info(f"{len(experiments)} experiment(s), {len(seeds)} seed(s) each")


def read(name: str, seeds: Sequence[int], runs: Sequence[tuple[Path, Path, Path]]) -> Experiment:
    """Load an experiment from the files of metrics, training and predictions of each seed.

    Raises:
        BadInput: The seeds have predictions for different jets, or a file has another form.
    """
    metrics, trainings, predictions = zip(*runs, strict=True)
    tables = [Predictions.load(path) for path in predictions]
    for path, table in zip(predictions, tables, strict=True):
        if not table.same_jets(tables[0]):
            raise BadInput(f"{path}: predictions of other jets than those in {predictions[0]}")
    entries = ("network", "layers", "parameters", *TRAINING_COST)
    records = [read_training(path, entries) for path in trainings]
    return Experiment(name, seeds, list(map(read_metrics, metrics)), records, tables)


if __name__ == "__main__":
    with stage("compare", snakemake.log[0]):
        compare(
            snakemake.params.experiments,
            snakemake.params.seeds,
            [Path(path) for path in snakemake.input.metrics],
            [Path(path) for path in snakemake.input.trainings],
            [Path(path) for path in snakemake.input.predictions],
            Path(snakemake.output.comparison),
            Path(snakemake.output.spreadsheet),
            Path(snakemake.output.summary),
        )
