"""Train one network with one random seed."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.console import stage
from topmass.learning.device import find_device
from topmass.learning.launching.launch import launch, several
from topmass.learning.resuming.interrupt import Interrupt
from topmass.learning.team import Team
from topmass.learning.training.job import Compute, Job, run


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
) -> None:
    """Train on the shards of "train", validate on those of "validation"; write weights, history and what was trained.

    Goes on from `checkpoint` if that is of the same training, and removes it when all is written. On SIGTERM and
    SIGUSR1 a checkpoint is written and the process ends with status 75: the same call goes on from there.
    Same shards, recipe, seed and number of threads give the same weights on one CPU, interrupted or not.
    """
    files = [str(path) for path in (statistics, best, last, history, about, checkpoint, events)]
    paths = ([str(path) for path in shards[name]] for name in ("train", "validation"))
    job = Job(*paths, *files, dict(network), dict(recipe), seed, dict(compute), threads)
    if several(Compute(**compute)):
        launch(job, log_file())
        return
    with Interrupt().watching() as interrupt:
        run(job, Team(), find_device(compute["device"]), interrupt)


def log_file() -> Path | None:
    """The log of this stage, if it has one."""
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
            snakemake.threads,
        )  # fmt: skip
