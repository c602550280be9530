"""Training run from shards to weights, in one process or in each of several."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from topmass.console import log_info
from topmass.data.batching import iter_batches
from topmass.data.datasets import Dataset
from topmass.data.placement import choose_placement
from topmass.data.shard_files import ShardFiles
from topmass.device import find_precision, set_deterministic
from topmass.files import atomic_write, file_digest
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.distribution import JetSummary, summarize_shard
from topmass.preprocessing.distribution_shift import described
from topmass.preprocessing.shards import read_jet_arrays
from topmass.process_group import ProcessGroup
from topmass.progress import Progress
from topmass.training.calibration import fit_conformal_scale
from topmass.training.checkpoint import CheckpointManager, remove_checkpoints
from topmass.training.diagnostics import overfitting_message, translate_torch_errors, worse_than_constant_message
from topmass.training.inference import predict_batches
from topmass.training.recipe import Recipe
from topmass.training.signals import SignalHandler
from topmass.training.state import TrainState
from topmass.training.trainer import Trainer
from topmass.training.training_progress import TrainingProgress

NORM_SAMPLE_SIZE = 10_000
"""Training jets to which the input normalisation is fitted."""
SUMMARY_SAMPLE_SIZE, N_SUMMARY_SHARDS = 10_000, 20
"""Training jets that are summarised for the metadata of the model, and the number of shards that they are from."""


@dataclass(frozen=True)
class ComputeConfig:
    """Compute settings of a training, which change its result only in the last bits.

    Attributes:
        device: Device, or "auto".
        precision: Precision, or "auto".
        placement: Placement of the jets, as in `choose_placement`.
        memory: Main memory for the jets in GB; None for a fraction of the free memory.
        compile: Whether to use `torch.compile`.
        processes: Processes on this machine, one per GPU.
        checkpoint_minutes: Minutes between checkpoints, in addition to those at validations.
        tensorboard: Whether to write event files.
    """

    device: str = "auto"
    precision: str = "auto"
    placement: str = "auto"
    memory: float | None = None
    compile: bool = False
    processes: int = 1
    checkpoint_minutes: float = 10
    tensorboard: bool = False


@dataclass(frozen=True)
class TrainConfig:
    """Shards, output files and settings of a training. Paths are strings, for JSON.

    Attributes:
        train: Training shards.
        validation: Validation shards.
        statistics: Statistics of the dataset.
        best: Best weights to write.
        last: Last weights to write.
        history: Training history to write.
        about: Metadata of the training to write, for the report.
        checkpoint: Checkpoint file.
        events: Folder of the TensorBoard log.
        network: Settings of the network.
        recipe: Settings of `Recipe`.
        seed: Random seed.
        compute: Settings of `ComputeConfig`.
        threads: Number of threads of all processes on this machine.
        config: Part of the configuration that defines jets and network; recorded in `about`.
        start_from: Model file, whose weights and input normalisation the training starts with.
    """

    train: list[str]
    validation: list[str]
    statistics: str
    best: str
    last: str
    history: str
    about: str
    checkpoint: str
    events: str
    network: dict
    recipe: dict
    seed: int
    compute: dict
    threads: int
    config: dict
    start_from: str | None = None

    def dump(self) -> str:
        """Return the configuration as JSON."""
        return json.dumps(asdict(self))


def run_training(config: TrainConfig, group: ProcessGroup, device: torch.device, interrupt: SignalHandler) -> None:
    """Train a network; rank 0 writes weights, history and metadata, and removes the checkpoint at the end.

    Raises:
        BadInput: The shards are unusable, a loss is not finite, memory is too small, or compilation fails.
        TrainingInterrupted: A signal was received.
    """
    compute, recipe = ComputeConfig(**config.compute), Recipe(**config.recipe)
    with translate_torch_errors(recipe.batch_size):
        torch.set_num_threads(max(1, config.threads // compute.processes))
        set_deterministic(device)
        torch.manual_seed(config.seed)
        statistics = file_digest(Path(config.statistics))
        splits = {"train": config.train, "validation": config.validation}
        files = {split: ShardFiles.find([Path(path) for path in paths], statistics) for split, paths in splits.items()}
        model = TrainedModel.new(config.network, files["train"].meta, recipe.quantiles)
        model.network.to(device, memory_format=torch.channels_last)
        datasets, placement = choose_placement(
            {split: replace(files[split], spec=model.network) for split in splits},
            compute.placement, compute.memory, device, list(recipe.augment_flips), group, compute.processes,
        )  # fmt: skip
        train, validation = datasets["train"], datasets["validation"]
        if config.start_from:
            message = model.copy_weights(Path(config.start_from))
            if group.rank == 0:
                log_info(message)
        else:
            sample = next(iter_batches(train.in_order(), NORM_SAMPLE_SIZE, ProcessGroup()))
            model.network.fit_input_norm(sample.on(device, model.shards))
        if compute.compile:
            model.network.backbone.compile(dynamic=False)
        state = TrainState(model.network, recipe, fused=device.type == "cuda")
        precision = find_precision(compute.precision, device)
        metadata = run_metadata(config, model, device, precision, group, datasets)
        if group.rank == 0:
            log_info(run_summary(metadata))
            log_info(placement)
        checkpoint = Path(config.checkpoint)
        manager = CheckpointManager(
            checkpoint, run_identity(config, model, recipe, datasets), state, train.order, group
        )
        manager.restore()
        events = Path(config.events) if compute.tensorboard and not group.rank else None
        progress = TrainingProgress(state, len(train), events)
        trainer = Trainer(
            state, train, validation, config.seed, precision, checkpoint.with_name("not_finite.txt"), group, interrupt,
            manager.save, compute.checkpoint_minutes, progress.step if group.rank == 0 else lambda jets, loss: None,
        )  # fmt: skip
        try:
            for row in trainer.epochs():
                if group.rank == 0:
                    progress.epoch(row)
        finally:
            progress.close()
        if group.rank:
            return
        model.training = summarize_training(files["train"])
        for path, weights in ((config.best, state.best_weights), (config.last, state.weights())):
            model.network.load_state_dict(weights)
            calibrate(model, validation, device, precision)
            model.save(Path(path))
        write_history(config, state, metadata | {"distributions": described(model.training)})
        remove_checkpoints(checkpoint)
        masses_and_weights = read_jet_arrays(files["validation"].paths, ("mass", "weight"), statistics)
        lowest_mae = min(row.mae for row in state.rows)
        for message in (
            overfitting_message(state.rows),
            worse_than_constant_message(lowest_mae, *masses_and_weights, recipe.learning_rate),
        ):
            if message:
                log_info(message)


def run_identity(config: TrainConfig, model: TrainedModel, recipe: Recipe, datasets: Mapping[str, Dataset]) -> dict:
    """Return the identity of a run; a checkpoint is resumed only if all entries match."""
    return {
        "network": model.settings,
        "recipe": asdict(recipe),
        "seed": config.seed,
        "start_from": file_digest(Path(config.start_from)) if config.start_from else None,
        "shards": asdict(datasets["train"].meta),
        "jets": {split: len(jets) for split, jets in datasets.items()},
    }


def run_metadata(
    config: TrainConfig,
    model: TrainedModel,
    device: torch.device,
    precision: torch.dtype,
    group: ProcessGroup,
    datasets: Mapping[str, Dataset],
) -> dict:
    """Return metadata on network, data and compute, for JSON."""
    return {
        "network": config.network.get("class", config.network["name"]),
        "settings": {name: value for name, value in model.settings.items() if name not in ("name", "class")},
        "parameters": sum(weights.numel() for weights in model.network.parameters()),
        "layers": list(model.shards.layers),
        "position": model.shards.position,
        "jets": len(datasets["train"]),
        "validation_jets": len(datasets["validation"]),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "precision": str(precision).removeprefix("torch."),
        "processes": group.size,
        "threads": torch.get_num_threads(),
    }


def run_summary(metadata: Mapping) -> str:
    """Return the metadata of a run as one line."""
    processes = f", {metadata['processes']} processes" if metadata["processes"] > 1 else ""
    settings = "".join(
        f"{name} {' and '.join(value) if isinstance(value, list) else value}, "
        for name, value in metadata["settings"].items()
    )
    return (
        f"{metadata['network']}, {settings}{metadata['parameters']:,} parameters, on {metadata['device']} "
        f"({metadata['threads']} threads{processes}) in {metadata['precision']}: {metadata['jets']:,} jets, "
        f"{metadata['validation_jets']:,} for validation, layers {', '.join(metadata['layers'])}"
        + ("" if metadata["position"] else ", without position")
    )


def calibrate(model: TrainedModel, validation: Dataset, device: torch.device, precision: torch.dtype) -> None:
    """Fit the conformal scale of a model to the validation jets, if it predicts quantiles."""
    if not model.quantiles:
        return
    with Progress("calibration", len(validation)) as progress:
        batches = predict_batches(model.network, validation, device, precision, advance=progress.update)
        # On the host, for any placement of the jets.
        parts = [(outputs.cpu(), batch.target.cpu(), batch.weight.cpu()) for batch, outputs in batches]
    outputs, target, weight = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    model.conformal_scale = fit_conformal_scale(outputs, target, weight, model.quantiles)


def summarize_training(files: ShardFiles) -> JetSummary:
    """Return a reproducible summary of about `SUMMARY_SAMPLE_SIZE` training jets, from shards across the split."""
    summary = JetSummary()
    shards = np.unique(np.linspace(0, len(files.paths) - 1, N_SUMMARY_SHARDS).astype(int))
    for index in shards:
        shard = files.load(index)
        jets = np.unique(np.linspace(0, len(shard) - 1, -(-SUMMARY_SAMPLE_SIZE // len(shards))).astype(int))
        summary.add(summarize_shard(shard.take(jets)))
    return summary


def write_history(config: TrainConfig, state: TrainState, metadata: Mapping) -> None:
    """Write history and metadata of a training; its time excludes validation."""
    with atomic_write(Path(config.history)) as part:
        pd.DataFrame(map(asdict, state.rows)).to_csv(part, index=False)
    last, seconds = state.rows[-1], sum(row.seconds for row in state.rows)
    rate = {"epochs": last.epoch, "seconds": seconds, "jets_per_second": last.jets / seconds}
    with atomic_write(Path(config.about)) as part:
        text = json.dumps({**metadata, **rate, "config": config.config}, indent=2)
        part.write_text(f"{text}\n", encoding="utf-8")
