"""Write the card of a trained network: what it is, how well it does, what it is not for, how it is used."""

from collections.abc import Mapping
from pathlib import Path

from topmass.console import say, stage
from topmass.files import whole
from topmass.reporting.model_card import card_text, files_of, layer_table, scores_told, training_told
from topmass.reporting.provenance import commit
from topmass.reporting.tables import reading
from topmass.scoring.score import read_metrics


def write_model_card(card: Path, house: Path, metrics: Path, history: Path, training: Path, about: Mapping) -> None:
    """Write the card, in the folder of the training, as Markdown; `house` is the repository.

    `about` has `network_settings`, `recipe`, `dataset`, `inputs`, `layers`, `position` and `citations`, see
    `topmass.workflow.card`. BadInput names the file that cannot be used.
    """
    run = read_metrics(metrics)
    with reading(metrics, "all metrics of a network"):
        scores = scores_told(run)
    parts = {**about, **scores}
    parts |= {"layers": layer_table(about["layers"]), "training": training_told(history, training)}
    parts["simulated"] = any(each["simulation"] for each in about["inputs"])
    parts |= {"files": files_of(card), "commit": commit(house)}
    text = card_text(house / "workflow/report/model_card.md.jinja", parts)
    with whole(card) as part:
        part.write_text(text, encoding="utf-8")
    say(f"{card}")


if __name__ == "__main__":
    with stage("model_card", snakemake.log[0]):
        write_model_card(
            Path(snakemake.output.card),
            Path(snakemake.params.house),
            Path(snakemake.input.metrics),
            Path(snakemake.input.history),
            Path(snakemake.input.training),
            snakemake.params.about,
        )
