"""Comparison of experiments."""

import json
from collections.abc import Sequence
from pathlib import Path

from topmass.console import log_info, stage
from topmass.evaluation.comparison import TRAINING_COST, Experiment, compare_experiments
from topmass.evaluation.comparison_text import comparison_csv, comparison_table
from topmass.evaluation.predictions import Predictions
from topmass.evaluation.score import read_metrics
from topmass.files import BadInput, atomic_write


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
    of_one = [files[i : i + len(seeds)] for i in range(0, len(files), len(seeds))]
    found = compare_experiments([read(name, seeds, runs) for name, runs in zip(experiments, of_one, strict=True)])
    texts = {
        comparison: json.dumps(found, indent=2) + "\n",
        spreadsheet: comparison_csv(found),
        summary: comparison_table(found),
    }
    for path, text in texts.items():
        with atomic_write(path) as part:
            part.write_text(text, encoding="utf-8")
    log_info(f"{len(experiments)} experiment(s), {len(seeds)} seed(s) each")


def read(name: str, seeds: Sequence[int], runs: Sequence[tuple[Path, Path, Path]]) -> Experiment:
    """Load an experiment.

    Args:
        name: Name of the experiment.
        seeds: Seeds of the experiment.
        runs: Files of metrics, training and predictions of each seed.

    Raises:
        BadInput: The seeds have predictions for different jets, or a file has another form.
    """
    metrics, trainings, predictions = zip(*runs, strict=True)
    tables = [Predictions.load(path) for path in predictions]
    for path, each in zip(predictions, tables, strict=True):
        if not each.same_jets(tables[0]):
            raise BadInput(f"{path}: predictions of other jets than those in {predictions[0]}")
    return Experiment(name, seeds, list(map(read_metrics, metrics)), list(map(read_training, trainings)), tables)


def read_training(path: Path) -> dict:
    """Load network, layers, number of parameters and cost of a training; BadInput if one is missing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("network", "layers", "parameters", *TRAINING_COST)}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not about a training ({type(error).__name__}: {error})") from None


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
