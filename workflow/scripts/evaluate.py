"""Score the predicted masses of the test jets."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.console import say, stage
from topmass.files import whole
from topmass.scoring.bootstrap import Bootstrap
from topmass.scoring.predictions import Predictions, predicted_for
from topmass.scoring.score import TITLES, as_csv, overall, score, shortfall, table


def evaluate(
    predictions: Path,
    others: Mapping[str, Path],
    metrics: Path,
    spreadsheet: Path,
    summary: Path,
    experiment: str,
    seed: int,
    bins: Mapping[str, Sequence[float]],
    mass_above: float,
    bootstrap: Mapping,
) -> None:
    """Write all metrics of network and baselines as JSON, as CSV, and some of them as a short table.

    `others` are the predictions of other estimators for the same jets, by their name in TITLES; `bins` the edges, in
    GeV, of "mass" and of "pt". BadInput for predictions of other jets, and for bins that do not fit the jets.
    """
    jets = Predictions.load(predictions)
    guesses = {name: predicted_for(jets, path) for name, path in others.items()}
    scores = {"experiment": experiment, "seed": seed}
    scores |= score(jets, guesses, mass_above, bins, Bootstrap(**bootstrap))
    files = {metrics: json.dumps(scores, indent=2) + "\n", spreadsheet: as_csv(scores)}
    files[summary] = table(f"experiment {experiment}, seed {seed}", scores)
    for path, text in files.items():
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")
    found = overall(scores)["scores"]
    for name in [name for name in ("softdrop_mass", "jet_mass") if name not in found]:
        say(f"no baseline '{TITLES[name]}': it is not known of all jets")
    network = found["network"]
    say(f"MAE {network['mae']['value']:.2f} GeV, MRE {network['mre']['value']:.1%}")
    if shortfall(scores):
        say(shortfall(scores))


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
            snakemake.params.mass_above,
            snakemake.params.bootstrap,
        )
