"""Predict the masses of the jets of some shards with a trained network."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from topmass.console import say, stage
from topmass.files import BadInput
from topmass.learning.training.prediction import Predictor
from topmass.learning.training.validation import middle
from topmass.preprocessing.shards import Shard
from topmass.scoring.predictions import KNOWN, Intervals, Predictions, write_predictions


def predict(model: Path, shards: Sequence[Path], predictions: Path, device: str, precision: str, threads: int) -> None:
    """Write the predictions for all jets of the shards, in their order. BadInput if the model takes other shards.

    The outer quantiles of a model that has some, calibrated, are the intervals of the masses. One shard is in memory
    at a time.
    """
    torch.set_num_threads(threads)
    predictor = Predictor(model, device, precision)
    jets = write_predictions(predictions, predict_shards(predictor, shards), predictor.model.quantiles[::2])
    say(f"{jets:,} jets")


def predict_shards(predictor: Predictor, shards: Sequence[Path]) -> Iterator[Predictions]:
    """The predictions of a model, shard by shard."""
    found, quantiles = False, predictor.model.quantiles[::2]
    for path in shards:
        shard = Shard.load(path, predictor.model.shards)
        if not len(shard):
            continue
        found = True
        masses = predictor.masses(shard)
        known = {name: shard.arrays[name] for name in KNOWN}
        intervals = Intervals(masses[:, 0], masses[:, -1], quantiles) if quantiles else None
        yield Predictions(predicted=middle(masses), intervals=intervals, **known)
    if not found:
        raise BadInput(f"{shards[0].parent}: no jet in any shard")


if __name__ == "__main__":
    with stage("predict", snakemake.log[0]):
        predict(
            Path(snakemake.input.model),
            [Path(path) for path in snakemake.input.shards],
            Path(snakemake.output.predictions),
            snakemake.config["compute"]["device"],
            snakemake.params.precision,
            snakemake.threads,
        )
