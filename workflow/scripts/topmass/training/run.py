"""Training run from shards to weights, in one process or in each of several."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
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
from topmass.training.checkpoint import remove_checkpoints
from topmass.training.checkpoint_manager import CheckpointManager
from topmass.training.diagnostics import overfitting_message, translate_torch_errors, worse_than_constant_message
from topmass.training.recipe import Recipe
from topmass.training.signals import SignalHandler
from topmass.training.state import TrainState
from topmass.training.trainer import Trainer
from topmass.training.training_progress import TrainingProgress
from topmass.training.validation import predict_outputs

NORM_SAMPLE_SIZE = 10_000
"""Training jets to which the input normalisation is fitted."""
N_SUMMARY_SHARDS = 20
"""Shards from which `NORM_SAMPLE_SIZE` jets are summarised for the metadata of the model."""


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
    """Shards, output files and settings of a training. Paths are strings, for JSON."""

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

    def dump(self) -> str:
        """Return the configuration as JSON."""
        return json.dumps(asdict(self))


def run_training(job: TrainConfig, team: ProcessGroup, device: torch.device, interrupt: SignalHandler) -> None:
    """Train a network, write weights, history and metadata, and remove the checkpoint at the end.

    Args:
        job: Configuration of the training.
        team: Process group; only rank 0 writes.
        device: Device of this process.
        interrupt: Handler that records signals.

    Raises:
        BadInput: The shards are unusable, a loss is not finite, memory is too small, or compilation fails.
        TrainingInterrupted: A signal was received.
    """
    with translate_torch_errors(job.recipe["batch_size"]):
        _run(job, team, device, interrupt)


def _run(job: TrainConfig, team: ProcessGroup, device: torch.device, interrupt: SignalHandler) -> None:
    compute, recipe = ComputeConfig(**job.compute), Recipe(**job.recipe)
    torch.set_num_threads(max(1, job.threads // compute.processes))
    set_deterministic(device)
    torch.manual_seed(job.seed)
    digest = file_digest(Path(job.statistics))
    files = {name: ShardFiles.find(list(map(Path, getattr(job, name))), digest) for name in ("train", "validation")}
    model = TrainedModel.new(job.network, files["train"].meta, recipe.quantiles)
    model.network.to(device, memory_format=torch.channels_last)
    # Cached features are not mirrored.
    takers = {"train": None if recipe.augment_flips else model.network, "validation": model.network}
    sources, placement = choose_placement(
        {name: each.with_features(takers[name]) for name, each in files.items()},
        compute.placement, compute.memory, device, list(recipe.augment_flips), team, compute.processes,
    )  # fmt: skip
    model.network.fit_input_norm(
        next(iter_batches(sources["train"].in_order(), NORM_SAMPLE_SIZE, ProcessGroup())).on(device, model.shards)
    )
    if compute.compile:
        model.network.backbone.compile(dynamic=False)
    state = TrainState(model.network, recipe, fused=device.type == "cuda")
    precision = find_precision(compute.precision, device)
    speak = log_info if team.rank == 0 else lambda line: None
    known = run_metadata(job, model, device, precision, team, sources)
    speak(run_summary(known))
    speak(placement)
    keeper = CheckpointManager(
        Path(job.checkpoint), run_identity(job, recipe, sources), state, sources["train"].order, team
    )
    keeper.restore()
    events = Path(job.events) if compute.tensorboard and not team.rank else None
    shown = TrainingProgress(state, len(sources["train"]), events)
    trainer = Trainer(
        state, sources["train"], sources["validation"], job.seed, precision,
        Path(job.checkpoint).with_name("not_finite.txt"), team, interrupt, keeper.keep, compute.checkpoint_minutes,
        shown.step if team.rank == 0 else lambda jets, loss: None,
    )  # fmt: skip
    try:
        for row in trainer.epochs():
            if team.rank == 0:
                shown.epoch(row)
    finally:
        shown.close()
    if team.rank == 0:
        model.training = summarize_training(files["train"])
        write_results(job, model, state, known, lambda: calibrate(model, sources["validation"], device, precision))
        remove_checkpoints(Path(job.checkpoint))
        if over_fitted := overfitting_message(state.rows):
            log_info(over_fitted)
        numbers = read_jet_arrays(files["validation"].paths, ("mass", "weight"), digest)
        if hopeless := worse_than_constant_message(min(row.mae for row in state.rows), *numbers, recipe.learning_rate):
            log_info(hopeless)


def run_identity(job: TrainConfig, recipe: Recipe, sources: Mapping[str, Dataset]) -> dict:
    """Return the identity of a run; a checkpoint is resumed only if all entries match."""
    return {
        "network": job.network,
        "recipe": asdict(recipe),
        "seed": job.seed,
        "shards": asdict(sources["train"].meta),
        "jets": {name: len(source) for name, source in sources.items()},
    }


def run_metadata(
    job: TrainConfig,
    model: TrainedModel,
    device: torch.device,
    precision: torch.dtype,
    team: ProcessGroup,
    sources: Mapping[str, Dataset],
) -> dict:
    """Return metadata on network, data and compute, for JSON."""
    return {
        "network": job.network["name"],
        "settings": {name: value for name, value in job.network.items() if name != "name"},
        "parameters": sum(weights.numel() for weights in model.network.parameters()),
        "layers": list(model.shards.layers),
        "position": model.shards.position,
        "jets": len(sources["train"]),
        "validation_jets": len(sources["validation"]),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "precision": str(precision).removeprefix("torch."),
        "processes": team.size,
        "threads": torch.get_num_threads(),
    }


def run_summary(known: Mapping) -> str:
    """Return the metadata of a run as one line."""
    processes = f", {known['processes']} processes" if known["processes"] > 1 else ""
    settings = "".join(
        f"{name} {' and '.join(value) if isinstance(value, list) else value}, "
        for name, value in known["settings"].items()
    )
    return (
        f"{known['network']}, {settings}{known['parameters']:,} parameters, on {known['device']} "
        f"({known['threads']} threads{processes}) in {known['precision']}: {known['jets']:,} jets, "
        f"{known['validation_jets']:,} for validation, layers {', '.join(known['layers'])}"
        + ("" if known["position"] else ", without position")
    )


def calibrate(model: TrainedModel, validation: Dataset, device: torch.device, precision: torch.dtype) -> None:
    """Fit the conformal scale of a model to the validation jets, if it predicts quantiles."""
    if not model.quantiles:
        return
    # On the host, for any placement of the jets.
    with Progress("calibration", len(validation)) as progress:
        outputs = predict_outputs(model.network, validation, device, precision, progress.update).cpu()
    known = [
        each.sparse.to(outputs.device) for each in iter_batches(validation.in_order(), NORM_SAMPLE_SIZE, ProcessGroup())
    ]
    target, weight = (torch.cat([getattr(each, name) for each in known]) for name in ("target", "weight"))
    model.conformal_scale = fit_conformal_scale(outputs, target, weight, model.quantiles)


def summarize_training(files: ShardFiles) -> JetSummary:
    """Return a reproducible summary of about `NORM_SAMPLE_SIZE` training jets, from shards across the split."""
    found = JetSummary()
    shards = np.unique(np.linspace(0, len(files.paths) - 1, N_SUMMARY_SHARDS).astype(int))
    for number in shards:
        shard = files.load(number)
        jets = np.unique(np.linspace(0, len(shard) - 1, -(-NORM_SAMPLE_SIZE // len(shards))).astype(int))
        found.add(summarize_shard(shard.take(jets)))
    return found


def write_results(
    job: TrainConfig, model: TrainedModel, state: TrainState, known: Mapping, calibrate: Callable[[], None]
) -> None:
    """Write best and last weights, history and metadata; the training time excludes validation."""
    for path, weights in ((job.best, state.best), (job.last, state.weights())):
        model.network.load_state_dict(weights)
        calibrate()
        model.save(Path(path))
    with atomic_write(Path(job.history)) as part:
        pd.DataFrame(map(asdict, state.rows)).to_csv(part, index=False)
    known = known | {"distributions": described(model.training)}
    last, seconds = state.rows[-1], sum(row.seconds for row in state.rows)
    spent = {"epochs": last.epoch, "seconds": seconds, "jets_per_second": last.jets / seconds}
    with atomic_write(Path(job.about)) as part:
        part.write_text(json.dumps(known | spent | {"config": job.config}, indent=2) + "\n", encoding="utf-8")
