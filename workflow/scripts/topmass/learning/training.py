"""The training loop."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from topmass.files import BadInput
from topmass.learning.batches import Batch, SparseJets
from topmass.learning.device import autocast
from topmass.preprocessing.shards import MASS_SCALE

PREDICTED_AT_ONCE = 256
"""Jets a batch where no gradients are needed; larger batches are no faster on a CPU."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: passes over the jets, jets a step, first learning rate, and its decay.

    The learning rate is multiplied by `plateau_factor` whenever the validation loss has not fallen for more than
    `plateau_patience` epochs.
    """

    epochs: int
    batch: int
    learning_rate: float
    plateau_factor: float
    plateau_patience: int


@dataclass(frozen=True)
class Epoch:
    """One row of the history. Losses are MAE in units of the mass scale, `mae` in GeV, `mre` a fraction."""

    epoch: int
    loss: float
    validation_loss: float
    mae: float
    mre: float
    learning_rate: float
    jets_per_second: float
    seconds: float


def train(
    network: nn.Module,
    jets: SparseJets,
    validation: SparseJets,
    recipe: Recipe,
    seed: int,
    precision: torch.dtype,
    progress: Callable[[Iterable[Batch], int], Iterable[Batch]] = lambda batches, epoch: batches,
) -> Iterator[Epoch]:
    """Train in place; yields after each epoch, when the network holds that epoch's weights.

    Loss is the mean absolute error of mass / 500, optimiser Adam. `progress` may watch the batches of an epoch.
    BadInput if the loss is not a number.
    """
    device = jets.target.device
    optimizer = torch.optim.Adam(network.parameters(), recipe.learning_rate, fused=device.type == "cuda")
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=recipe.plateau_factor, patience=recipe.plateau_patience
    )
    for epoch in range(1, recipe.epochs + 1):
        start = time.monotonic()
        learning_rate = optimizer.param_groups[0]["lr"]
        network.train()
        total = torch.zeros((), device=device)
        for batch in progress(jets.shuffled(recipe.batch, seed, epoch), epoch):
            with autocast(device, precision):
                predicted = network(batch.image, batch.position)
            loss = (predicted - batch.target).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch.target)
        seconds = time.monotonic() - start
        loss = float(total) / len(jets)
        if not math.isfinite(loss):
            raise BadInput(f"epoch {epoch}: the loss is not finite; try a learning rate below {learning_rate:g}")
        predicted = predict(network, validation, precision)
        error = (predicted - validation.target).abs()
        validation_loss = float(error.mean())
        scheduler.step(validation_loss)
        yield Epoch(
            epoch, loss, validation_loss, validation_loss * MASS_SCALE, float((error / validation.target).mean()),
            learning_rate, len(jets) / seconds, seconds,
        )  # fmt: skip


@torch.no_grad()
def predict(network: nn.Module, jets: SparseJets, precision: torch.dtype) -> torch.Tensor:
    """Predicted mass / 500 of all jets, (N,) float32, in order."""
    network.eval()
    with autocast(jets.target.device, precision):
        return torch.cat([network(part.image, part.position) for part in jets.in_order(PREDICTED_AT_ONCE)])
