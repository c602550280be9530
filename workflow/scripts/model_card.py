"""Model card of a trained network: description, performance, limits and usage."""

from pathlib import Path

from topmass.commands.write_card import write_model_card
from topmass.console import stage

if __name__ == "__main__":
    with stage("model_card", snakemake.log[0]):
        write_model_card(
            Path(snakemake.output.card),
            Path(snakemake.params.repository),
            Path(snakemake.input.metrics),
            Path(snakemake.input.history),
            Path(snakemake.input.training),
            snakemake.params.citations,
        )
