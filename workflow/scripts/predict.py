"""Predict the masses of the jets of some shards with a trained network."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from topmass.console import say, stage
from topmass.files import BadInput
from topmass.learning.device import find_device, find_precision
from topmass.learning.feeding.batches import SparseJets
from topmass.learning.feeding.sources import InMemory
from topmass.learning.networks.model import Model
from topmass.learning.training.calibration import widened
from topmass.learning.training.validation import middle
from topmass.learning.training.validation import predict as predict_all
from topmass.preprocessing.shards import MASS_SCALE, Shard
from topmass.scoring.predictions import KNOWN, Intervals, Predictions, write_predictions


def predict(model: Path, shards: Sequence[Path], predictions: Path, device: str, precision: str, threads: int) -> None:
    """Write the predictions for all jets of the shards, in their order. BadInput if the model takes other shards.

    The outer quantiles of a model that has some, calibrated, are the intervals of the masses. One shard is in memory
    at a time.
    """
    torch.set_num_threads(threads)
    place = find_device(device)
    trained = Model.load(model)
    trained.network.to(place, memory_format=torch.channels_last)
    parts = predict_shards(trained, shards, place, find_precision(precision, place))
    jets = write_predictions(predictions, parts, trained.quantiles[::2])
    say(f"{jets:,} jets")


def predict_shards(
    trained: Model, shards: Sequence[Path], device: torch.device, precision: torch.dtype
) -> Iterator[Predictions]:
    """The predictions of a model, shard by shard."""
    found = False
    for path in shards:
        shard = Shard.load(path, trained.shards)
        if not len(shard):
            continue
        found = True
        jets = SparseJets.of(shard, device)
        outputs = widened(predict_all(trained.network, InMemory(jets), device, precision), trained.widening)
        masses = outputs.cpu().numpy() * MASS_SCALE
        known = {name: shard.arrays[name] for name in KNOWN}
        intervals = Intervals(masses[:, 0], masses[:, -1], trained.quantiles[::2]) if trained.quantiles else None
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
