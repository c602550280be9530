"""Score the predicted masses of the test jets."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.console import say, stage
from topmass.files import whole
from topmass.scoring.bootstrap import Bootstrap
from topmass.scoring.predictions import Predictions
from topmass.scoring.score import TITLES, score, table


def evaluate(
    predictions: Path,
    metrics: Path,
    summary: Path,
    experiment: str,
    seed: int,
    mass_bins: Sequence[float],
    mass_above: float,
    bootstrap: Mapping,
) -> None:
    """Write MAE and MRE of network and baselines, overall and by mass (edges in GeV), as JSON and as a short table."""
    scores = {"experiment": experiment, "seed": seed}
    scores |= score(Predictions.load(predictions), mass_bins, mass_above, Bootstrap(**bootstrap))
    with whole(metrics) as part:
        part.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    text = table(f"experiment {experiment}, seed {seed}", scores)
    with whole(summary) as part:
        part.write_text(text, encoding="utf-8")
    for name in TITLES.keys() - scores["overall"].keys():
        say(f"no baseline '{TITLES[name]}': it is not known of all jets")
    network = scores["overall"]["network"]
    say(f"MAE {network['mae']['value']:.2f} GeV, MRE {network['mre']['value']:.1%}")


if __name__ == "__main__":
    with stage("evaluate", snakemake.log[0]):
        evaluate(
            Path(snakemake.input.predictions),
            Path(snakemake.output.metrics),
            Path(snakemake.output.summary),
            snakemake.wildcards.experiment,
            int(snakemake.wildcards.seed),
            snakemake.params.mass_bins,
            snakemake.params.mass_above,
            snakemake.params.bootstrap,
        )
