"""Evaluation of the estimates of the mass on a sample that the network was not trained on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.console import log_info, stage
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.sample_jets import SampleJets
from topmass.evaluation.sample_score import sample_summary, score_sample
from topmass.evaluation.score_frame import score_frame
from topmass.files import write_atomically


def evaluate_sample(
    predictions: Path,
    scores: Path,
    spreadsheet: Path,
    run: Mapping[str, str | int],
    process: str | None,
    mass: float | None,
    target: str,
    bins: Mapping[str, Sequence[float]],
    min_mass: float,
    bootstrap: Mapping,
) -> None:
    """Write the scores of network and baselines as JSON and CSV. Weights of jets are used if the file has them.

    Args:
        predictions: File of `predict_sample`.
        scores: JSON file to write.
        spreadsheet: CSV file to write.
        run: Values of "experiment", "seed" and "sample".
        process: Simulated process; None for a sample from files.
        mass: Single mass of the simulated top quarks in GeV; None for other samples.
        target: Column of the truth, the target of the training.
        bins: Bin edges of "mass" and "pt", GeV.
        min_mass: Minimum generated mass of evaluated jets of a sample of many masses, GeV.
        bootstrap: Settings of `Bootstrap`.

    Raises:
        BadInput: The file cannot be used, or there are fewer than two events.
    """
    jets = SampleJets.load(predictions, target)
    content = {**run, "model": jets.model}
    content |= score_sample(jets, process, mass, min_mass, bins, Bootstrap(**bootstrap))
    write_atomically(scores, json.dumps(content, indent=2) + "\n")
    table = score_frame(content["regions"]).dropna(axis="columns", how="all")
    write_atomically(spreadsheet, table.to_csv(index=False, lineterminator="\n"))
    for line in sample_summary(content):
        log_info(line)


if __name__ == "__main__":
    with stage("evaluate_sample", snakemake.log[0]):
        evaluate_sample(
            Path(snakemake.input.predictions),
            Path(snakemake.output.scores),
            Path(snakemake.output.spreadsheet),
            {**snakemake.wildcards} | {"seed": int(snakemake.wildcards.seed)},
            snakemake.params.process,
            snakemake.params.mass,
            snakemake.params.target,
            {"mass": snakemake.params.mass_bins, "pt": snakemake.params.pt_bins},
            snakemake.params.min_mass,
            snakemake.params.bootstrap,
        )
