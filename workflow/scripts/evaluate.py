"""Evaluation of the predicted masses of the test jets."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.console import log_info, stage
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.predictions import Predictions, load_predicted
from topmass.evaluation.regions import occupied_edges
from topmass.evaluation.score import TITLES, baselines_not_beaten, inclusive, score
from topmass.evaluation.score_frame import metrics_csv, summary_text
from topmass.files import write_atomically


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
        bins: Bin edges of "mass" and "pt", GeV. Bins of mass below and above all jets are left out.
        min_mass: Minimum generated mass of evaluated jets, GeV.
        bootstrap: Settings of `Bootstrap`.

    Raises:
        BadInput: Estimators have predictions for different jets, or the bins do not fit the jets.
    """
    jets = Predictions.load(predictions)
    bins = bins | {"mass": occupied_edges(bins["mass"], jets.mass[jets.mass > min_mass])}
    estimates = {name: load_predicted(jets, path) for name, path in others.items()}
    content = {"experiment": experiment, "seed": seed, "model": jets.model, "bins": bins}
    content |= score(jets, estimates, min_mass, bins, Bootstrap(**bootstrap))
    write_atomically(metrics, json.dumps(content, indent=2) + "\n")
    write_atomically(spreadsheet, metrics_csv(content))
    write_atomically(summary, summary_text(f"experiment {experiment}, seed {seed}", content))
    scores = inclusive(content)["scores"]
    for name in ("softdrop_mass", "jet_mass"):
        if name not in scores:
            log_info(f"no baseline '{TITLES[name]}': it is unknown for some jets")
    log_info(f"MAE {scores['network']['mae']['value']:.2f} GeV, MRE {scores['network']['mre']['value']:.1%}")
    if line := baselines_not_beaten(content):
        log_info(line)


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
