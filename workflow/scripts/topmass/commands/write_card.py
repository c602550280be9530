"""Model card of a trained network: description, performance, limits and usage."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from topmass.console import log_info
from topmass.evaluation.score import read_metrics
from topmass.files import write_atomically
from topmass.report.model_card import (
    distribution_table,
    layer_table,
    score_context,
    training_context,
)
from topmass.report.provenance import commit
from topmass.report.rendering import render
from topmass.report.settings import configured_inputs, leaves, read_config
from topmass.report.tables import report_parse_errors

DESCRIPTION = """
Write the model card of a training as MODEL.md in its folder: performance, limitations, usage, data and settings.
"""


def write_model_card(
    card: Path, repository: Path, metrics: Path, history: Path, training: Path, citations: Sequence[str]
) -> None:
    """Write the model card as Markdown, in the folder of the training, with the settings that the training recorded.

    Raises:
        BadInput: A file has another form; the message names it.
    """
    run = read_metrics(metrics)
    with report_parse_errors(metrics, "all metrics of a network"):
        scores = score_context(run)
    config = read_config(training)
    (experiment,) = config["experiments"].values()
    dataset = config["datasets"][experiment["dataset"]]
    sample = config["samples"][dataset["sample"]]
    context = scores | {
        "citations": citations,
        "inputs": configured_inputs(config),
        "dataset": list(leaves(dataset)),
        "network_settings": list(leaves(experiment["network"])),
        "recipe": list(leaves(experiment["recipe"])),
        "layers": layer_table(dataset["layers"]),
        "position": sample.get("position") != "none",
        "simulation": sample.get("simulate"),
        "background": dataset["background"],
        "training": training_context(history, training),
        "model": run["model"],
        "trained_on": distribution_table(training),
        "commit": commit(repository),
    }
    write_atomically(card, render(repository / "workflow/report/model_card.md.jinja", context))
    log_info(f"{card}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("training", metavar="TRAINING", type=Path, help="results/train/{experiment}/{seed}")
    parser.add_argument("metrics", metavar="METRICS", type=Path, help="metrics.json of its evaluation")


def run(arguments: argparse.Namespace) -> None:
    """Run the command with its parsed arguments, which include the repository and its citations."""
    card, history, training = (arguments.training / name for name in ("MODEL.md", "history.csv", "training.json"))
    write_model_card(card, arguments.repository, arguments.metrics, history, training, arguments.citations)
