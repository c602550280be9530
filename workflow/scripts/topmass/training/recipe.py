"""Training recipe: loss, optimiser and learning-rate schedule."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import Parameter, functional
from torch.optim import Adam, AdamW, Optimizer

from topmass.preprocessing.shards import MASS_SCALE
from topmass.training.muon import MuonAndAdamW

MIN_MASS_FOR_LOG = 50 / MASS_SCALE
"""Minimum mass for the logarithm: 50 GeV, far below the lightest tops of 85 GeV."""
MASS_CENTRE, MASS_HALF_WIDTH = 292.5 / MASS_SCALE, 207.5 / MASS_SCALE
"""Centre and half width of the mass range of all jets, 85 to 500 GeV."""
MIN_WIDTH = 1 / MASS_SCALE
"""Minimum width of a split normal density, 1 GeV: no likelihood diverges."""


@dataclass(frozen=True)
class Recipe:
    """Optimiser, learning-rate schedule and loss of a training. Defaults are those of the reference paper.

    Attributes:
        epochs: Number of epochs.
        batch_size: Jets per step, of all processes together.
        learning_rate: Learning rate, at its maximum.
        optimizer: "adam", "adamw" or "muon"; the last two use `weight_decay`.
        schedule: "plateau" multiplies the learning rate by `plateau_factor` if the validation loss has not fallen for
            more than `plateau_patience` validations, as torch's `ReduceLROnPlateau`; "cosine" has `warmup_epochs` of
            linear warm-up.
        loss: "mae"; "huber", quadratic below `huber_delta` (GeV); "log_cosh", its smooth form; "relative"; "log", the
            error of the logarithm; or "asymmetric_mae". The last one weights errors towards the centre of the masses by
            1 + `asymmetry`, and errors away from it by 1 − `asymmetry`, at 85 and 500 GeV, and linearly in between.
        ema_decay: Decay of the exponential moving average of the weights, which is validated and saved; 0 for none.
        early_stopping: Validations without a better MAE after which training stops; None for never.
        gradient_clip_norm: Maximum norm of the gradient; None for no limit.
        augment_flips: Directions, "eta" and "phi", in which jets are mirrored at random.
        val_interval_jets: Jets between validations; None for one at the end of each epoch.
        quantiles: Three ascending quantiles of the mass, 0.5 in the centre. If set, the loss is their pinball loss, or
            with "split_normal" a likelihood: the outputs are the mode of a density and the mode ± its two widths. The
            interval between the outer outputs has a probability of 68 %, but they are not these quantiles.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "adam"
    weight_decay: float = 0.01
    schedule: str = "plateau"
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    warmup_epochs: float = 1.0
    loss: str = "mae"
    huber_delta: float = 25.0
    asymmetry: float = 0.4
    ema_decay: float = 0.0
    early_stopping: int | None = None
    gradient_clip_norm: float | None = None
    augment_flips: Sequence[str] = ()
    val_interval_jets: int | None = None
    quantiles: Sequence[float] = ()

    def make_optimizer(self, parameters: Sequence[Parameter], fused: bool) -> Optimizer:
        """Return the optimiser of these parameters; `fused` updates all of them in one kernel."""
        if self.optimizer == "muon":
            return MuonAndAdamW(parameters, self.learning_rate, self.weight_decay, fused)
        if self.optimizer == "adamw":
            return AdamW(parameters, self.learning_rate, weight_decay=self.weight_decay, fused=fused)
        return Adam(parameters, self.learning_rate, fused=fused)

    def loss_per_jet(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Return the loss (B,) from outputs (B, 1 or Q) and masses (B,), in units of the mass scale."""
        if self.quantiles:
            loss = split_normal if self.loss == "split_normal" else partial(pinball, quantiles=self.quantiles)
            return loss(predicted, target)
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
        if self.loss == "asymmetric_mae":
            return error.abs() - self.asymmetry * ((target - MASS_CENTRE) / MASS_HALF_WIDTH).clamp(-1, 1) * error
        return error.abs() / target if self.loss == "relative" else error.abs()

    def validations(self, jets: int) -> int:
        """Return the number of equidistant validations in an epoch of `jets` jets, at least one."""
        return max(1, round(jets / self.val_interval_jets)) if self.val_interval_jets else 1

    def cosine_lr(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0 over all epochs, on a cosine schedule."""
        warmup, total = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        if step < warmup:
            return self.learning_rate * (step + 1) / math.ceil(warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def logarithm(mass: Tensor) -> Tensor:
    """Return the logarithm of masses (B,) in units of the mass scale; below `MIN_MASS_FOR_LOG` its tangent.

    The tangent makes the logarithm of any output finite.
    """
    return mass.clamp(min=MIN_MASS_FOR_LOG).log() + (mass - MIN_MASS_FOR_LOG).clamp(max=0) / MIN_MASS_FOR_LOG


def pinball(predicted: Tensor, target: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Return the pinball loss (B,) of outputs (B, Q), summed over the quantiles.

    For a quantile q, the error is multiplied by 2 q if the target (B,) is above the output, and by 2 (1 − q) if below.
    The mean loss is lowest where the outputs are the quantiles of the target. For q = 0.5 it is the absolute error
    (R. Koenker and G. Bassett, Econometrica 46, 33, 1978).
    """
    error = target[:, None] - predicted
    levels = torch.tensor(quantiles, dtype=error.dtype).to(error.device, non_blocking=True)
    return 2 * torch.maximum(levels * error, (levels - 1) * error).sum(1)


def split_normal(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the negative log-likelihood (B,) of a normal density with one width below and one above its mode.

    It is the two-piece normal density (K. F. Wallis, Statistical Science 29, 106, 2014). Outputs are those of a network
    with three quantiles.

    Args:
        predicted: Mode minus lower width, mode, and mode plus upper width (B, 3); `MIN_WIDTH` is added to the widths.
        target: Masses (B,).
    """
    low, mode, high = predicted.unbind(1)
    below, above = mode - low + MIN_WIDTH, high - mode + MIN_WIDTH
    width = torch.where(target < mode, below, above)
    return ((target - mode) / width).square() / 2 + ((below + above) * math.sqrt(math.pi / 2)).log()
