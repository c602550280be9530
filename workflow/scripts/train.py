"""Training of one network with one random seed."""

from pathlib import Path

from topmass.console import stage
from topmass.device import find_device
from topmass.limits import available_cores
from topmass.process_group import ProcessGroup
from topmass.training.launch import launch_workers, node_count_and_address
from topmass.training.run import ComputeConfig, TrainConfig, run_training
from topmass.training.signals import SignalHandler, install_handler


def train(config: TrainConfig, log: Path | None = None) -> None:
    """Train a network; write weights, history and a record of the training.

    Training resumes from the checkpoint if that belongs to the same training; the checkpoint is removed at the end. On
    one of `topmass.training.signals.SIGNALS` a checkpoint is written and the process exits with status 75; the same
    call resumes from there. The same shards, recipe, seed and number of threads give the same weights on one CPU,
    interrupted or not. Further processes append to `log`.
    """
    if ComputeConfig(**config.compute).processes > 1 or node_count_and_address()[0] > 1:
        launch_workers(config, log)
    else:
        interrupt = SignalHandler()
        with install_handler(interrupt.on_signal):
            run_training(config, ProcessGroup(), find_device(config.compute["device"]), interrupt)


if __name__ == "__main__":
    with stage("train", snakemake.log[0]):
        config = TrainConfig(
            train=[str(path) for path in snakemake.input.train],
            validation=[str(path) for path in snakemake.input.validation],
            statistics=str(snakemake.input.statistics),
            **{name: str(snakemake.output[name]) for name in ("best", "last", "history", "about")},
            checkpoint=str(snakemake.params.checkpoint),
            events=str(snakemake.params.events),
            network=dict(snakemake.params.network),
            recipe=dict(snakemake.params.recipe),
            seed=int(snakemake.wildcards.seed),
            compute=dict(snakemake.config["compute"]),
            threads=min(snakemake.threads, available_cores()),
            config=dict(snakemake.params.config),
            start_from=next(map(str, snakemake.input.start), None),
        )
        train(config, Path(snakemake.log[0]))
