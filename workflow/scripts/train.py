"""Training of one network with one random seed."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.console import stage
from topmass.device import find_device
from topmass.limits import available_cores
from topmass.process_group import ProcessGroup
from topmass.training.launch import is_distributed, launch_workers
from topmass.training.run import ComputeConfig, TrainConfig, run_training
from topmass.training.signals import SignalHandler


def train(
    shards: Mapping[str, Sequence[Path]],
    statistics: Path,
    best: Path,
    last: Path,
    history: Path,
    about: Path,
    checkpoint: Path,
    events: Path,
    network: Mapping,
    recipe: Mapping,
    seed: int,
    compute: Mapping,
    threads: int,
    config: Mapping,
) -> None:
    """Train a network; write weights, history and a record of the training.

    Training resumes from `checkpoint` if that belongs to the same training; the checkpoint is removed at the end. On
    one of `topmass.training.signals.SIGNALS` a checkpoint is written and the process exits with status 75; the same
    call resumes from there. The same shards, recipe, seed and number of threads give the same weights on one CPU,
    interrupted or not.

    Args:
        shards: Shards of "train" and "validation".
        statistics: Statistics of the dataset.
        best: Best weights to write.
        last: Last weights to write.
        history: Training history to write.
        about: Record of the training to write, for the report.
        checkpoint: Checkpoint file.
        events: Folder of the TensorBoard log; used if `compute` enables it.
        network: Settings of the network.
        recipe: Settings of the training.
        seed: Random seed.
        compute: Settings of `ComputeConfig`.
        threads: Number of threads.
        config: Part of the configuration that defines jets and network; recorded in `about`.
    """
    files = [str(path) for path in (statistics, best, last, history, about, checkpoint, events)]
    paths = ([str(path) for path in shards[name]] for name in ("train", "validation"))
    job = TrainConfig(*paths, *files, dict(network), dict(recipe), seed, dict(compute), threads, dict(config))
    if is_distributed(ComputeConfig(**compute)):
        launch_workers(job, log_file())
        return
    with SignalHandler().watching() as interrupt:
        run_training(job, ProcessGroup(), find_device(compute["device"]), interrupt)


def log_file() -> Path | None:
    """Return the log file of this stage, if it has one."""
    handlers = logging.getLogger("topmass").handlers
    return next((Path(each.baseFilename) for each in handlers if isinstance(each, logging.FileHandler)), None)


if __name__ == "__main__":
    with stage("train", snakemake.log[0]):
        train(
            {"train": [Path(path) for path in snakemake.input.train],
             "validation": [Path(path) for path in snakemake.input.validation]},
            Path(snakemake.input.statistics),
            Path(snakemake.output.best),
            Path(snakemake.output.last),
            Path(snakemake.output.history),
            Path(snakemake.output.about),
            Path(snakemake.params.checkpoint),
            Path(snakemake.params.events),
            snakemake.params.network,
            snakemake.params.recipe,
            int(snakemake.wildcards.seed),
            snakemake.config["compute"],
            min(snakemake.threads, available_cores()),
            snakemake.params.config,
        )  # fmt: skip
