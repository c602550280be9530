"""Train one network with one random seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from topmass.console import say, stage
from topmass.files import whole
from topmass.learning.batches import Batch, SparseJets
from topmass.learning.device import find_device, find_precision
from topmass.learning.model import Model
from topmass.learning.training import Epoch, Recipe
from topmass.learning.training import train as train_epochs
from topmass.preprocessing.shards import load_shards
from topmass.preprocessing.statistics import digest_of


def train(
    shards: Mapping[str, Sequence[Path]],
    statistics: Path,
    best: Path,
    last: Path,
    history: Path,
    network: str,
    pool: int,
    recipe: Mapping,
    seed: int,
    device: str,
    precision: str,
    threads: int,
) -> None:
    """Train on the shards of "train", validate on those of "validation"; write best and last weights and the history.

    Same shards, recipe, seed and number of threads give the same weights on one CPU.
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    place = find_device(device)
    digest = digest_of(statistics)
    jets, validation = (SparseJets(load_shards(shards[name], digest), place) for name in ("train", "validation"))
    number = find_precision(precision, place)
    steps = Recipe(**recipe)
    model = Model.new(network, pool, jets.meta)
    model.network.to(place, memory_format=torch.channels_last)
    parameters = sum(weights.numel() for weights in model.network.parameters())
    say(
        f"{network}, {parameters:,} parameters, pool {pool}, on {place} with {threads} threads in "
        f"{str(number).removeprefix('torch.')}: {len(jets):,} jets, {len(validation):,} for validation, "
        f"layers {', '.join(jets.meta.layers)}"
    )
    epochs: list[Epoch] = []

    def progress(batches: Iterable[Batch], epoch: int) -> Iterable[Batch]:
        total = -(-len(jets) // steps.batch)
        return tqdm(batches, f"epoch {epoch}/{steps.epochs}", total, unit="step", leave=False, disable=None)

    for epoch in train_epochs(model.network, jets, validation, steps, seed, number, progress):
        epochs.append(epoch)
        if epoch.mae == min(each.mae for each in epochs):
            model.save(best)
        left = sum(each.seconds for each in epochs) / len(epochs) * (steps.epochs - epoch.epoch)
        say(
            f"epoch {epoch.epoch}/{steps.epochs}: loss {epoch.loss:.4f}, "
            f"validation MAE {epoch.mae:.2f} GeV, MRE {epoch.mre:.1%}, "
            f"learning rate {epoch.learning_rate:.2g}, {epoch.jets_per_second:,.0f} jets/s, {left / 60:.1f} min left"
        )
    model.save(last)
    with whole(history) as part:
        pd.DataFrame(map(asdict, epochs)).to_csv(part, index=False)


if __name__ == "__main__":
    with stage("train", snakemake.log[0]):
        train(
            {"train": [Path(path) for path in snakemake.input.train],
             "validation": [Path(path) for path in snakemake.input.validation]},
            Path(snakemake.input.statistics),
            Path(snakemake.output.best),
            Path(snakemake.output.last),
            Path(snakemake.output.history),
            snakemake.params.network,
            snakemake.params.pool,
            snakemake.params.recipe,
            int(snakemake.wildcards.seed),
            snakemake.params.device,
            snakemake.params.precision,
            snakemake.threads,
        )  # fmt: skip
