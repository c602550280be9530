"""How a network is trained: loss, optimiser and learning rate, as the configuration names them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter, functional
from torch.optim import Adam, AdamW, Optimizer

from topmass.learning.muon import MuonAndAdamW
from topmass.preprocessing.shards import MASS_SCALE

LEAST = 50 / MASS_SCALE
"""Far below all tops, which weigh 85 GeV and more."""
MIDDLE, HALF_WIDTH = 292.5 / MASS_SCALE, 207.5 / MASS_SCALE
"""Of the masses of all jets, 85 to 500 GeV."""


@dataclass(frozen=True)
class Recipe:
    """Passes over the jets, jets a step, first learning rate, and how it goes on. Defaults are the reference's.

    `optimizer` is "adam", or "adamw" or "muon" with `weight_decay`. With `schedule` "plateau" the learning rate is
    multiplied by `plateau_factor` whenever the validation loss has not fallen for more than `plateau_patience` epochs;
    with "cosine" it rises for `warmup_epochs` and falls to zero on a half cosine. `average_decay` is that of the
    running mean of the weights, which is then validated and kept; 0 is none. `early_stopping` is the number of epochs
    without a better validation MAE after which training ends; `gradient_clip` the largest norm of a gradient; None is
    never. `flips` are the directions, "eta" and "phi", in which jets are mirrored at random. There is a validation
    after every `validate_every` jets, or nearly so; None is at the end of each epoch. What is said of epochs without
    progress holds for validations. With `quantiles`, three of the mass that rise, 0.5 in the middle, the loss is
    theirs.

    `loss` is "mae"; "huber", square below `huber_delta` (GeV); "log_cosh", the same without a corner; "relative";
    "log", the error of the logarithm; or "tilted": an error towards the middle of all masses costs more, by the
    part `tilt` where the mass is 85 or 500 GeV, in proportion between, and one away from the middle so much less.
    """

    epochs: int
    batch: int
    learning_rate: float
    optimizer: str = "adam"
    weight_decay: float = 0.01
    schedule: str = "plateau"
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    warmup_epochs: float = 1.0
    loss: str = "mae"
    huber_delta: float = 25.0
    tilt: float = 0.4
    average_decay: float = 0.0
    early_stopping: int | None = None
    gradient_clip: float | None = None
    flips: Sequence[str] = ()
    validate_every: int | None = None
    quantiles: Sequence[float] = ()

    def make_optimizer(self, parameters: Sequence[Parameter], fused: bool) -> Optimizer:
        """The optimiser of these parameters; `fused` takes one kernel for all of them."""
        if self.optimizer == "muon":
            return MuonAndAdamW(parameters, self.learning_rate, self.weight_decay, fused)
        if self.optimizer == "adamw":
            return AdamW(parameters, self.learning_rate, weight_decay=self.weight_decay, fused=fused)
        return Adam(parameters, self.learning_rate, fused=fused)

    def losses(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The loss of each jet, (B,), from outputs (B, 1 or Q) and masses (B,) in units of the mass scale."""
        if self.quantiles:
            return pinball(predicted, target, self.quantiles)
        predicted = predicted[:, 0]
        error, delta = predicted - target, self.huber_delta / MASS_SCALE
        if self.loss == "huber":
            return functional.huber_loss(predicted, target, reduction="none", delta=delta)
        if self.loss == "log_cosh":
            # log cosh x = |x| + log(1 + exp(−2|x|)) − log 2, which never overflows.
            x = error.abs() / delta
            return delta * (x + functional.softplus(-2 * x) - math.log(2))
        if self.loss == "log":
            return (logarithm(predicted) - logarithm(target)).abs()
        if self.loss == "tilted":
            return error.abs() - self.tilt * ((target - MIDDLE) / HALF_WIDTH).clamp(-1, 1) * error
        return error.abs() / target if self.loss == "relative" else error.abs()

    def validations(self, jets: int) -> int:
        """How many there are in an epoch of so many jets, at even distances; at least one."""
        return max(1, round(jets / self.validate_every)) if self.validate_every else 1

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0 over all epochs, on a cosine schedule."""
        warmup, total = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        if step < warmup:
            return self.learning_rate * (step + 1) / math.ceil(warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def logarithm(mass: Tensor) -> Tensor:
    """The logarithm of masses in units of the mass scale, (B,); below LEAST its tangent, so that any output has one."""
    return mass.clamp(min=LEAST).log() + (mass - LEAST).clamp(max=0) / LEAST


def pinball(predicted: Tensor, target: Tensor, quantiles: Sequence[float]) -> Tensor:
    """The loss (B,) whose least mean has the quantiles of the target (B,) as its outputs (B, Q).

    Of each quantile q, 2 q or 2 (1 − q) times the error, whichever side the target is on; their sum. That of 0.5 is
    the absolute error (R. Koenker and G. Bassett, Econometrica 46, 33, 1978).
    """
    error = target[:, None] - predicted
    shares = torch.tensor(quantiles, dtype=error.dtype).to(error.device, non_blocking=True)
    return 2 * torch.maximum(shares * error, (shares - 1) * error).sum(1)


@dataclass
class Plateau:
    """Where a plateau schedule stands: the best loss so far, and epochs since it was found."""

    best: float = math.inf
    waited: int = 0

    def step(self, optimizer: Optimizer, loss: float, recipe: Recipe) -> None:
        """Lower the learning rate if it is time. As torch's ReduceLROnPlateau, where 0.01 % counts as progress."""
        if loss < self.best * (1 - 1e-4):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > recipe.plateau_patience:
            self.waited = 0
            for group in optimizer.param_groups:
                group["lr"] *= recipe.plateau_factor
