"""Short trainings on made-up jets, in this process or in one that can be killed."""

import logging
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from topmass.data.batches import to_dense_images
from topmass.data.batching import iter_batches
from topmass.data.datasets import Dataset
from topmass.data.shard_files import ShardFiles
from topmass.files import file_digest
from topmass.process_group import ProcessGroup
from topmass.training.run import TrainConfig
from train import train

CPU = torch.device("cpu")
RECIPE = {"epochs": 2, "batch_size": 32, "learning_rate": 1e-3, "plateau_factor": 0.5, "plateau_patience": 0}
RESNET15 = {"name": "resnet15", "downsample": 8}
COMPUTE = {"device": "cpu", "precision": "float32", "checkpoint_minutes": 1e-9}
SERVER = multiprocessing.get_context("forkserver")
# An optimiser imports the second at its first step.
SERVER.set_forkserver_preload(["training_runs", "torch._dynamo"])


def run(dataset: tuple[Path, Mapping], folder: Path, **changes) -> list[Path]:
    """Train for two epochs, with changes of these settings; return the paths of best, last and history."""
    statistics, shards = dataset
    paths = {
        "best": "model.safetensors",
        "last": "last.safetensors",
        "history": "history.csv",
        "about": "training.json",
    }
    paths |= {"checkpoint": "kept/checkpoint.safetensors", "events": "events"}
    files = {name: str(folder / path) for name, path in paths.items()} | {"statistics": str(statistics)}
    files |= {split: [str(path) for path in shards[split]] for split in ("train", "validation")}
    settings = {"network": RESNET15, "recipe": RECIPE, "seed": 1, "compute": COMPUTE, "threads": 1, "config": {}}
    train(TrainConfig(**(files | settings | changes)))
    return [folder / paths[name] for name in ("best", "last", "history")]


def start(
    dataset: tuple[Path, Mapping],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    target: Callable | None = None,
    **changes,
) -> multiprocessing.Process:
    """Train in another process, which a test can signal; `target` replaces `train_logged`."""
    variables = {"TMPDIR": tempfile.gettempdir(), **(environment or {})}
    target = target or train_logged
    process = SERVER.Process(target=target, args=(dataset, folder, variables), kwargs=changes)
    with pytest.MonkeyPatch.context() as patch:
        # The server, which has torch loaded, starts now if it does not run yet.
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        process.start()
    return process


def train_logged(dataset: tuple[Path, Mapping], folder: Path, environment: Mapping[str, str], **changes) -> None:
    """Train with all output in a file."""
    os.environ.update(environment)
    # Discard the cached folder.
    tempfile.tempdir = None
    folder.mkdir(exist_ok=True)
    with (folder / "output").open("a") as output:
        # Child processes inherit these.
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        logging.getLogger("topmass").setLevel(logging.INFO)
        logging.getLogger("topmass").handlers = [logging.StreamHandler()]
        run(dataset, folder, **changes)


def start_by(
    command: Sequence[str],
    dataset: tuple[Path, Mapping],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    **changes,
) -> subprocess.Popen:
    """Train in a process that this command starts, such as `nice`; skip the test if the command fails."""
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip(f"not allowed on this machine: {' '.join(command)}")
    arguments = f"{dataset}, {folder!r}, {environment or {}}, **{changes}"
    code = f"from pathlib import PosixPath; import training_runs; training_runs.train_logged({arguments})"
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    limited = ["timeout", "--signal=KILL", "300", *command]
    return subprocess.Popen([*limited, sys.executable, "-c", code], env=os.environ | path)


def find(dataset: tuple[Path, Mapping], split: str = "train") -> ShardFiles:
    """Return the shards of a split."""
    return ShardFiles.find(dataset[1][split], file_digest(dataset[0]))


class Dense(NamedTuple):
    """A batch with images (B, C, H, W)."""

    image: torch.Tensor
    position: torch.Tensor
    target: torch.Tensor


def dense(source: Dataset, views, size: int = 32, group: ProcessGroup | None = None) -> list[Dense]:
    """Return all batches of an epoch with dense images."""
    batches = (batch.on(CPU, source.meta) for batch in iter_batches(views, size, group or ProcessGroup()))
    return [Dense(to_dense_images(batch, source.meta), batch.position, batch.target) for batch in batches]


def events(views, size: int = 32) -> np.ndarray:
    """Return the event numbers of an epoch's jets, in its order."""
    return np.concatenate([batch.event for batch in iter_batches(views, size, ProcessGroup())])
