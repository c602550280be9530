"""Prediction of the masses of the jets in shards with a trained network."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from topmass.console import log_info, stage
from topmass.data.shard_files import count_jets_and_values
from topmass.evaluation.predictions import TRUTH_COLUMNS, Intervals, Predictions, write_predictions
from topmass.files import BadInput, file_digest
from topmass.limits import available_cores
from topmass.preprocessing.shards import Shard
from topmass.progress import Progress
from topmass.training.inference import Predictor, check_finite, median_prediction


def predict_test(
    model: Path, shards: Sequence[Path], predictions: Path, device: str, precision: str, threads: int
) -> None:
    """Write the predictions for all jets of the shards, in their order, with one shard in memory at a time.

    If the model predicts quantiles, the calibrated outer quantiles are the intervals of the masses.

    Raises:
        BadInput: The model was trained on other shards, or there is no jet.
    """
    torch.set_num_threads(threads)
    predictor = Predictor(model, device, precision)
    quantiles = predictor.model.quantiles[::2]
    jets = sum(count_jets_and_values(path)[0] for path in shards)
    if not jets:
        raise BadInput(f"{shards[0].parent}: no jet in any shard")
    with Progress(f"{shards[0].parent.name} jets", jets) as progress:
        parts = predict_shards(predictor, shards, progress)
        write_predictions(predictions, parts, quantiles, file_digest(model))
    log_info(f"{jets:,} jets")


def predict_shards(predictor: Predictor, shards: Sequence[Path], progress: Progress) -> Iterator[Predictions]:
    """Yield the predictions of a model, shard by shard, without empty shards."""
    quantiles = predictor.model.quantiles[::2]
    for path in shards:
        shard = Shard.load(path, predictor.model.shards)
        if len(shard):
            masses = predictor.masses(shard, progress.update)
            check_finite(masses, path)
            truth = {name: shard.arrays[name] for name in TRUTH_COLUMNS}
            intervals = Intervals(masses[:, 0], masses[:, -1], quantiles) if quantiles else None
            yield Predictions(predicted=median_prediction(masses), intervals=intervals, **truth)


if __name__ == "__main__":
    with stage("predict_test", snakemake.log[0]):
        predict_test(
            Path(snakemake.input.model),
            [Path(path) for path in snakemake.input.shards],
            Path(snakemake.output.predictions),
            snakemake.config["compute"]["device"],
            snakemake.params.precision,
            min(snakemake.threads, available_cores()),
        )
