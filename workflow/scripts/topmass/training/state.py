"""Training state: all values that a checkpoint must contain to resume."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from topmass.training.recipe import Recipe

SCALARS = ("epoch", "step", "first", "seconds", "learning_rate")
PLATEAU_SCALARS = ("best", "num_bad_epochs")
"""Attributes of `TrainState` and of its plateau schedule that a checkpoint stores."""


@dataclass(frozen=True)
class ValidationRecord:
    """Row of the training history, one per validation.

    Attributes:
        epoch: Completed epochs, as a fraction within an epoch.
        jets: Training jets processed so far.
        loss: Mean loss of the recipe since the previous row.
        validation_loss: Mean loss of the validation jets.
        mae: Mean absolute error of the validation jets, GeV.
        mre: Mean relative error of the validation jets, as a fraction.
        learning_rate: Learning rate of the first step since the previous row.
        jets_per_second: Training rate since the previous row.
        seconds: Time since the previous row, without validation.
    """

    epoch: float
    jets: int
    loss: float
    validation_loss: float
    mae: float
    mre: float
    learning_rate: float
    jets_per_second: float
    seconds: float


class TrainState:
    """State of a training.

    Attributes:
        epoch: Present epoch, from 1.
        step: Completed steps of this epoch.
        first: Steps of this epoch at the last row.
        loss_sums: Sums (2,) float64 of weight × loss and of weights, over the jets since the last row.
        seconds: Training time since the last row.
        ema: Exponential moving average of the parameters; empty if `ema_decay` is 0.
        rows: History so far.
        best_weights: Weights of the best row, in main memory.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, fused: bool) -> None:
        self.network, self.recipe = network, recipe
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.device = parameters[0].device
        self.optimizer = recipe.make_optimizer(parameters, fused)
        # In the order of the optimiser's parameter indices.
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.plateau = ReduceLROnPlateau(
            self.optimizer, factor=recipe.plateau_factor, patience=recipe.plateau_patience, eps=0
        )
        self.ema = [parameter.detach().clone() for parameter in self.parameters] if recipe.ema_decay else []
        self.best_weights: dict[str, Tensor] = {}
        self.rows: list[ValidationRecord] = []
        self.epoch, self.step, self.first, self.seconds = 1, 0, 0, 0.0
        self.loss_sums = torch.zeros(2, dtype=torch.float64, device=self.device)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return self.optimizer.param_groups[0]["lr"]

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    @contextmanager
    def use_ema_weights(self) -> Iterator[None]:
        """Use the averaged weights in this context, if there are any."""
        if not self.ema:
            yield
            return
        trained = [parameter.detach().clone() for parameter in self.parameters]
        self._set_parameters(self.ema)
        try:
            yield
        finally:
            self._set_parameters(trained)

    @torch.no_grad()
    def _set_parameters(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the weights, averaged if an average exists, in main memory."""
        with self.use_ema_weights():
            return {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}

    def record_validation(self, row: ValidationRecord) -> None:
        """Add a row, copy the weights if they are the best so far, and start the next row."""
        if not self.rows or row.mae < min(previous.mae for previous in self.rows):
            self.best_weights = self.weights()
        self.rows.append(row)
        if row.epoch == self.epoch:
            self.epoch, self.step = self.epoch + 1, 0
        self.first, self.seconds = self.step, 0.0
        self.loss_sums.zero_()
        if self.recipe.schedule == "plateau":
            self.plateau.step(row.validation_loss)

    def should_stop(self) -> bool:
        """Return whether all epochs are done, or too many validations brought no progress."""
        patience = self.recipe.early_stopping
        if self.epoch > self.recipe.epochs:
            return True
        if patience is None or not self.rows:
            return False
        errors = [row.mae for row in self.rows]
        return len(errors) - 1 - errors.index(min(errors)) >= patience

    def tensor_state(self) -> dict[str, Tensor]:
        """Return all tensors by name, including torch's random states."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"average.{i}": tensor for i, tensor in enumerate(self.ema)}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best_weights.items()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items()}
        tensors |= {"total": self.loss_sums, "random.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def scalar_state(self) -> dict:
        """Return all values that are not tensors, for JSON."""
        return {
            **{name: getattr(self, name) for name in SCALARS},
            "plateau": {name: getattr(self.plateau, name) for name in PLATEAU_SCALARS},
            "rows": [asdict(row) for row in self.rows],
        }

    def restore(self, tensors: Mapping[str, Tensor], scalars: Mapping) -> None:
        """Restore the state from the return values of `tensor_state` and `scalar_state`.

        Raises:
            KeyError: A value is missing.
            ValueError: A value has another shape, dtype or range.
        """

        def select(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(f"{prefix}."): tensor
                for name, tensor in tensors.items()
                if name.startswith(f"{prefix}.")
            }

        self._check_tensors(tensors)
        self.network.load_state_dict(select("network"))
        self.ema = [
            match_memory_format(parameter, tensors[f"average.{i}"])
            for i, parameter in enumerate(self.parameters[: len(self.ema)])
        ]
        self.best_weights = select("best")
        optimizer = self.optimizer.state_dict()
        optimizer["state"] = {
            i: {
                name: tensor if name == "step" else match_memory_format(parameter, tensor)
                for name, tensor in moments.items()
            }
            for i, parameter in enumerate(self.parameters)
            if (moments := select(f"optimizer.{i}"))
        }
        self.optimizer.load_state_dict(optimizer)
        for name, value in non_negative(scalars, SCALARS).items():
            setattr(self, name, value)
        for name, value in non_negative(scalars["plateau"], PLATEAU_SCALARS).items():
            setattr(self.plateau, name, value)
        columns = [field.name for field in fields(ValidationRecord)]
        self.rows = [ValidationRecord(**non_negative(row, columns)) for row in scalars["rows"]]
        self.loss_sums.copy_(tensors["total"])
        torch.set_rng_state(tensors["random.cpu"])
        if self.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)

    def _check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Check that each required tensor is there, and that all tensors have the expected shape and dtype."""
        expected = {name: tensor for name, tensor in self.tensor_state().items() if not name.startswith("random.")}
        if any(name.startswith("best.") for name in tensors):
            expected |= {f"best.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for name in tensors:
            kind, _, rest = name.partition(".")
            if kind == "optimizer" and not rest.endswith(".step"):
                expected[name] = self.parameters[int(rest.partition(".")[0])]
        for name, model in expected.items():
            shape, dtype = tuple(tensors[name].shape), tensors[name].dtype
            if (shape, dtype) != (tuple(model.shape), model.dtype):
                raise ValueError(f"{name} is {dtype} {shape}, not {model.dtype} {tuple(model.shape)}")


def non_negative(scalars: Mapping, names: Iterable[str]) -> dict[str, float]:
    """Return the values of these names; raise KeyError or ValueError unless they are non-negative numbers."""
    values = {name: scalars[name] for name in names}
    for name, value in values.items():
        if not (isinstance(value, int | float) and value >= 0):
            raise ValueError(f"{name} is {value}")
    return values


def match_memory_format(parameter: Tensor, values: Tensor) -> Tensor:
    """Return values in the memory layout of a parameter, which fused optimisers require of their state."""
    return torch.empty_like(parameter, requires_grad=False).copy_(values)
