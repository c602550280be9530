"""Predict the masses of the jets of some shards with a trained network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from topmass.console import say, stage
from topmass.files import BadInput
from topmass.learning.batches import SparseJets
from topmass.learning.device import find_device, find_precision
from topmass.learning.model import Model
from topmass.learning.training import predict as predict_all
from topmass.preprocessing.shards import MASS_SCALE, load_shards
from topmass.scoring.predictions import Predictions


def predict(model: Path, shards: Sequence[Path], predictions: Path, device: str, precision: str, threads: int) -> None:
    """Write the predictions for all jets of the shards, in their order. BadInput if the model takes other shards."""
    torch.set_num_threads(threads)
    place = find_device(device)
    trained = Model.load(model)
    loaded = load_shards(shards, trained.shards.statistics)
    if loaded[0].meta != trained.shards:
        raise BadInput(f"{shards[0]}: {loaded[0].meta} is not what {model} was trained on: {trained.shards}")
    trained.network.to(place, memory_format=torch.channels_last)
    jets = SparseJets(loaded, place)
    predicted = predict_all(trained.network, jets, find_precision(precision, place)).cpu().numpy() * MASS_SCALE
    known = {
        name: np.concatenate([shard.arrays[name] for shard in loaded])
        for name in ("event", "mass", "pt", "jet_mass", "softdrop_mass")
    }
    Predictions(predicted=predicted, **known).save(predictions)
    say(f"{len(jets):,} jets")


if __name__ == "__main__":
    with stage("predict", snakemake.log[0]):
        predict(
            Path(snakemake.input.model),
            [Path(path) for path in snakemake.input.shards],
            Path(snakemake.output.predictions),
            snakemake.params.device,
            snakemake.params.precision,
            snakemake.threads,
        )
