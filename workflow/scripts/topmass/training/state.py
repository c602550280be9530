"""Training state: all values that a checkpoint must contain to resume."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from topmass.training.recipe import Plateau, Recipe
from topmass.training.restoring import check_scalars, check_shapes, match_memory_format


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
        first: Steps of this epoch before the last row.
        total: Sums (2,) float64 of weight × loss and of weights, over the jets since the last row.
        seconds: Training time since the last row.
        average: Exponential moving average of the parameters; empty if `ema_decay` is 0.
        rows: History so far.
        best: Weights of the best row, in main memory.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, fused: bool) -> None:
        self.network, self.recipe = network, recipe
        parameters = list(network.parameters())
        self.device = parameters[0].device
        self.optimizer = recipe.make_optimizer(parameters, fused)
        # In the order of the optimiser's parameter indices.
        self.parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
        self.plateau = Plateau()
        self.average = [each.detach().clone() for each in self.parameters] if recipe.ema_decay else []
        self.best: dict[str, Tensor] = {}
        self.rows: list[ValidationRecord] = []
        self.epoch, self.step, self.first, self.seconds = 1, 0, 0, 0.0
        self.total = torch.zeros(2, dtype=torch.float64, device=self.device)

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
        kept = [each.detach().clone() for each in self.parameters] if self.average else []
        self._set_parameters(self.average)
        try:
            yield
        finally:
            self._set_parameters(kept)

    @torch.no_grad()
    def _set_parameters(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=False):
            parameter.copy_(value)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the weights, averaged if an average exists, in main memory."""
        with self.use_ema_weights():
            return {name: each.detach().cpu().clone() for name, each in self.network.state_dict().items()}

    def record_validation(self, row: ValidationRecord) -> None:
        """Add a row, copy the weights if they are the best so far, and start the next row."""
        if not self.rows or row.mae < min(each.mae for each in self.rows):
            self.best = self.weights()
        self.rows.append(row)
        if row.epoch == self.epoch:
            self.epoch, self.step = self.epoch + 1, 0
        self.first, self.seconds = self.step, 0.0
        self.total.zero_()
        if self.recipe.schedule == "plateau":
            self.plateau.step(self.optimizer, row.validation_loss, self.recipe)

    def should_stop(self) -> bool:
        """Return whether all epochs are done, or too many validations brought no progress."""
        patience = self.recipe.early_stopping
        if self.epoch > self.recipe.epochs or not self.rows or patience is None:
            return self.epoch > self.recipe.epochs
        errors = [row.mae for row in self.rows]
        return len(errors) - 1 - errors.index(min(errors)) >= patience

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, including torch's random states."""
        found = {f"network.{name}": each for name, each in self.network.state_dict().items()}
        found |= {f"average.{i}": each for i, each in enumerate(self.average)}
        found |= {f"best.{name}": each for name, each in self.best.items()}
        for i, state in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{i}.{name}": each for name, each in state.items()}
        found |= {"total": self.total, "random.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            found["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return {name: each.detach().cpu().contiguous() for name, each in found.items()}

    def numbers(self) -> dict:
        """Return all values that are not tensors, for JSON."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "first": self.first,
            "seconds": self.seconds,
            "learning_rate": self.learning_rate,
            "plateau": asdict(self.plateau),
            "rows": [asdict(row) for row in self.rows],
        }

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping) -> None:
        """Restore the state from the `tensors` and `numbers` of a checkpoint.

        Raises:
            KeyError: A value is missing.
            ValueError: A value has another shape, dtype or range.
        """

        def under(name: str) -> dict[str, Tensor]:
            return {key.removeprefix(f"{name}."): each for key, each in tensors.items() if key.startswith(f"{name}.")}

        check_shapes(tensors, self._expected_shapes(tensors))
        check_scalars(numbers, but=("plateau", "rows", "order"))
        self.network.load_state_dict(under("network"))
        averages = under("average")
        parameters = self.parameters[: len(self.average)]
        self.average = [match_memory_format(parameter, averages[str(i)]) for i, parameter in enumerate(parameters)]
        self.best = under("best")
        whole = self.optimizer.state_dict()
        whole["state"] = {
            i: {
                name: each if name == "step" else match_memory_format(parameter, each) for name, each in moments.items()
            }
            for i, parameter in enumerate(self.parameters)
            if (moments := under(f"optimizer.{i}"))
        }
        self.optimizer.load_state_dict(whole)
        self.learning_rate = numbers["learning_rate"]
        self.plateau = Plateau(**check_scalars(numbers["plateau"]))
        self.rows = [ValidationRecord(**check_scalars(row)) for row in numbers["rows"]]
        place = (numbers[name] for name in ("epoch", "step", "first", "seconds"))
        self.epoch, self.step, self.first, self.seconds = place
        self.total.copy_(tensors["total"])
        torch.set_rng_state(tensors["random.cpu"])
        if self.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)

    def _expected_shapes(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of the expected shapes, by name, for required tensors and those among `tensors`."""
        forms = {name: each for name, each in self.tensors().items() if not name.startswith("random.")}
        if any(name.startswith("best.") for name in tensors):
            forms |= {f"best.{name}": each for name, each in self.network.state_dict().items()}
        for name in tensors:
            kind, _, rest = name.partition(".")
            if kind == "optimizer" and not rest.endswith(".step"):
                forms[name] = self.parameters[int(rest.partition(".")[0])]
        return forms
