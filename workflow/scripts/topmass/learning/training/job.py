"""One training from shards to weights: what the stage `train` does, in one process or in each of several."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch

from topmass.console import say
from topmass.files import whole
from topmass.learning.device import find_precision, make_repeatable
from topmass.learning.feeding.cutting import cut
from topmass.learning.feeding.placement import place
from topmass.learning.feeding.shard_files import ShardFiles
from topmass.learning.feeding.sources import Source
from topmass.learning.networks.model import Model
from topmass.learning.recipe import Recipe
from topmass.learning.resuming.checkpoint import remove_checkpoints
from topmass.learning.resuming.interrupt import Interrupt
from topmass.learning.resuming.keeper import Keeper
from topmass.learning.resuming.state import State
from topmass.learning.team import Team
from topmass.learning.training.calibration import find_widening
from topmass.learning.training.health import describe_hopeless, describe_over_fitting, explained
from topmass.learning.training.progress import Progress
from topmass.learning.training.trainer import Trainer
from topmass.learning.training.validation import predict
from topmass.preprocessing.shards import read_numbers
from topmass.preprocessing.statistics import digest_of

TYPICAL = 10_000
"""Jets of the training that a network sees before it starts."""


@dataclass(frozen=True)
class Compute:
    """Where and how a training runs; nothing that decides about its result, but for the last bits.

    `placement` of the jets and `memory` for them as in `placement.place`; `compile` the network with torch.compile;
    `processes` on this machine, one a GPU; a checkpoint every `checkpoint_minutes` beside those at the ends of epochs;
    `tensorboard` writes event files.
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
class Job:
    """A training: its shards, the files that it writes, and its settings. Paths are texts, so that JSON takes it."""

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

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))


def run(job: Job, team: Team, device: torch.device, interrupt: Interrupt) -> None:
    """Train; write weights, history and what was trained, and remove the checkpoint when they are there.

    BadInput for shards that cannot be used, a loss that is not finite, too little memory, and where nothing can be
    compiled; Interrupted on a signal.
    """
    with explained(job.recipe["batch"]):
        _run(job, team, device, interrupt)


def _run(job: Job, team: Team, device: torch.device, interrupt: Interrupt) -> None:
    compute, recipe = Compute(**job.compute), Recipe(**job.recipe)
    torch.set_num_threads(max(1, job.threads // compute.processes))
    make_repeatable(device)
    torch.manual_seed(job.seed)
    digest = digest_of(Path(job.statistics))
    files = {name: ShardFiles.find(list(map(Path, getattr(job, name))), digest) for name in ("train", "validation")}
    model = Model.new(job.network, files["train"].meta, recipe.quantiles)
    model.network.to(device, memory_format=torch.channels_last)
    # What is kept of a jet is not mirrored.
    takers = {"train": None if recipe.flips else model.network, "validation": model.network}
    sources, placement = place(
        {name: each.taken_by(takers[name]) for name, each in files.items()},
        compute.placement, compute.memory, device, list(recipe.flips), team, compute.processes,
    )  # fmt: skip
    model.network.adapt(next(cut(sources["train"].in_order(), TYPICAL, Team())).on(device, model.shards))
    if compute.compile:
        model.network.body.compile(dynamic=False)
    state = State(model.network, recipe, fused=device.type == "cuda")
    precision = find_precision(compute.precision, device)
    speak = say if team.rank == 0 else lambda line: None
    known = facts(job, model, device, precision, team, sources)
    speak(summary(known))
    speak(placement)
    keeper = Keeper(Path(job.checkpoint), identity(job, recipe, sources), state, sources["train"].order, team)
    keeper.restore()
    shown = Progress(state, len(sources["train"]), Path(job.events) if compute.tensorboard and not team.rank else None)
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
        write_results(job, model, state, known, lambda: calibrate(model, sources["validation"], device, precision))
        remove_checkpoints(Path(job.checkpoint))
        if over_fitted := describe_over_fitting(state.rows):
            say(over_fitted)
        numbers = read_numbers(files["validation"].paths, ("mass", "weight"), digest)
        if hopeless := describe_hopeless(min(row.mae for row in state.rows), *numbers, recipe.learning_rate):
            say(hopeless)


def identity(job: Job, recipe: Recipe, sources: Mapping[str, Source]) -> dict:
    """What a training is of: a checkpoint goes on only where all of this is the same."""
    return {
        "network": job.network,
        "recipe": asdict(recipe),
        "seed": job.seed,
        "shards": asdict(sources["train"].meta),
        "jets": {name: len(source) for name, source in sources.items()},
    }


def facts(
    job: Job, model: Model, device: torch.device, precision: torch.dtype, team: Team, sources: Mapping[str, Source]
) -> dict:
    """What is trained with what, as JSON takes it."""
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


def summary(known: Mapping) -> str:
    """Those facts in a line."""
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


def calibrate(model: Model, validation: Source, device: torch.device, precision: torch.dtype) -> None:
    """Let the quantiles of a model, if it has any, hold for the validation jets."""
    if not model.quantiles:
        return
    # On the host, wherever the jets are kept.
    outputs = predict(model.network, validation, device, precision).cpu()
    known = [each.sparse.to(outputs.device) for each in cut(validation.in_order(), TYPICAL, Team())]
    target, weight = (torch.cat([getattr(each, name) for each in known]) for name in ("target", "weight"))
    model.widening = find_widening(outputs, target, weight, model.quantiles)


def write_results(job: Job, model: Model, state: State, known: Mapping, calibrate: Callable[[], None]) -> None:
    """Write best and last weights, the history, and what was trained in how many seconds, validation apart."""
    for path, weights in ((job.best, state.best), (job.last, state.weights())):
        model.network.load_state_dict(weights)
        calibrate()
        model.save(Path(path))
    with whole(Path(job.history)) as part:
        pd.DataFrame(map(asdict, state.rows)).to_csv(part, index=False)
    last, seconds = state.rows[-1], sum(row.seconds for row in state.rows)
    spent = {"epochs": last.epoch, "seconds": seconds, "jets_per_second": last.jets / seconds}
    with whole(Path(job.about)) as part:
        part.write_text(json.dumps(known | spent, indent=2) + "\n", encoding="utf-8")
