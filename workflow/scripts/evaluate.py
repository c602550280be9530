"""Evaluation of the predicted masses of the test jets."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.console import log_info, stage
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.predictions import Predictions, predicted_for
from topmass.evaluation.score import TITLES, baselines_not_beaten, inclusive, metrics_csv, metrics_table, score
from topmass.files import atomic_write


def evaluate(
    predictions: Path,
    others: Mapping[str, Path],
    metrics: Path,
    spreadsheet: Path,
    summary: Path,
    experiment: str,
    seed: int,
    bins: Mapping[str, Sequence[float]],
    min_mass: float,
    bootstrap: Mapping,
) -> None:
    """Write all metrics of network and baselines as JSON and CSV, and some of them as a short table.

    Args:
        predictions: Predictions of the network.
        others: Predictions of other estimators for the same jets, by their key in `TITLES`.
        metrics: JSON file to write.
        spreadsheet: CSV file to write.
        summary: Text file to write.
        experiment: Name of the experiment.
        seed: Seed of the training.
        bins: Bin edges of "mass" and "pt", GeV.
        min_mass: Minimum generated mass of evaluated jets, GeV.
        bootstrap: Settings of `Bootstrap`.

    Raises:
        BadInput: Estimators have predictions for different jets, or the bins do not fit the jets.
    """
    jets = Predictions.load(predictions)
    guesses = {name: predicted_for(jets, path) for name, path in others.items()}
    scores = {"experiment": experiment, "seed": seed, "model": jets.model, "bins": bins}
    scores |= score(jets, guesses, min_mass, bins, Bootstrap(**bootstrap))
    files = {metrics: json.dumps(scores, indent=2) + "\n", spreadsheet: metrics_csv(scores)}
    files[summary] = metrics_table(f"experiment {experiment}, seed {seed}", scores)
    for path, text in files.items():
        with atomic_write(path) as part:
            part.write_text(text, encoding="utf-8")
    found = inclusive(scores)["scores"]
    for name in [name for name in ("softdrop_mass", "jet_mass") if name not in found]:
        log_info(f"no baseline '{TITLES[name]}': it is not known of all jets")
    network = found["network"]
    log_info(f"MAE {network['mae']['value']:.2f} GeV, MRE {network['mre']['value']:.1%}")
    if baselines_not_beaten(scores):
        log_info(baselines_not_beaten(scores))


if __name__ == "__main__":
    with stage("evaluate", snakemake.log[0]):
        evaluate(
            Path(snakemake.input.predictions),
            {Path(path).stem: Path(path) for path in snakemake.input.others},
            Path(snakemake.output.metrics),
            Path(snakemake.output.spreadsheet),
            Path(snakemake.output.summary),
            snakemake.wildcards.experiment,
            int(snakemake.wildcards.seed),
            {"mass": snakemake.params.mass_bins, "pt": snakemake.params.pt_bins},
            snakemake.params.min_mass,
            snakemake.params.bootstrap,
        )
