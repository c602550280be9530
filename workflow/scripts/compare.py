"""Put experiments side by side."""

import json
from collections.abc import Sequence
from pathlib import Path

from topmass.console import say, stage
from topmass.files import BadInput, whole
from topmass.scoring.comparison import SPENT, Experiment, compare_experiments
from topmass.scoring.predictions import Predictions
from topmass.scoring.score import read_metrics
from topmass.scoring.side_by_side import as_csv, table


def compare(
    experiments: Sequence[str], seeds: Sequence[int], metrics: Sequence[Path], trainings: Sequence[Path],
    predictions: Sequence[Path], comparison: Path, spreadsheet: Path, summary: Path,
) -> None:  # fmt: skip
    """Write what sets experiments apart as JSON, as CSV and as a short table.

    Files are those of each experiment and seed, all seeds of the first experiment first. BadInput if experiments share
    no test jets, or if one of the files is not what it should be.
    """
    files = list(zip(metrics, trainings, predictions, strict=True))
    of_one = [files[i : i + len(seeds)] for i in range(0, len(files), len(seeds))]
    found = compare_experiments([read(name, seeds, runs) for name, runs in zip(experiments, of_one, strict=True)])
    texts = {comparison: json.dumps(found, indent=2) + "\n", spreadsheet: as_csv(found), summary: table(found)}
    for path, text in texts.items():
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")
    say(f"{len(experiments)} experiment(s), {len(seeds)} seed(s) each")


def read(name: str, seeds: Sequence[int], runs: Sequence[tuple[Path, Path, Path]]) -> Experiment:
    """An experiment from its metrics, trainings and predictions, a file of each for each seed."""
    metrics, trainings, predictions = zip(*runs, strict=True)
    tables = [Predictions.load(path) for path in predictions]
    for path, each in zip(predictions, tables, strict=True):
        if not each.same_jets(tables[0]):
            raise BadInput(f"{path}: predictions of other jets than those in {predictions[0]}")
    return Experiment(name, seeds, list(map(read_metrics, metrics)), list(map(read_training, trainings)), tables)


def read_training(path: Path) -> dict:
    """What was trained. BadInput if the file does not say it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("network", "layers", "parameters", *SPENT)}
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
