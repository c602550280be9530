"""All that changes while a network is trained: what a checkpoint has to hold for training to go on from it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from topmass.learning.recipe import Plateau, Recipe
from topmass.learning.resuming.restoring import laid_out_as, require_forms, require_numbers


@dataclass(frozen=True)
class Epoch:
    """One row of the history, with a validation: an epoch, or a part of one.

    `epoch` is how many of them are done, `jets` how many jets have been trained on. `loss` is that of the recipe since
    the row before, `mae` is in GeV, `mre` a fraction. `learning_rate` is that of the first step since then; `seconds`
    are without the validation.
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


class State:
    """Where a training stands: in `epoch` (from 1), after `step` steps of it; `first` were before the last row.

    `total` has the sum of weight × loss over the jets since the last row, and the sum of weights, (2,) float64;
    `seconds` is the time spent on them. `average` is the running mean of the parameters, if there is one; `best` the
    weights of the best of the epochs in `rows`, in main memory.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, fused: bool) -> None:
        self.network, self.recipe = network, recipe
        parameters = list(network.parameters())
        self.device = parameters[0].device
        self.optimizer = recipe.make_optimizer(parameters, fused)
        # In the order in which the optimizer numbers them.
        self.parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
        self.plateau = Plateau()
        self.average = [each.detach().clone() for each in self.parameters] if recipe.average_decay else []
        self.best: dict[str, Tensor] = {}
        self.rows: list[Epoch] = []
        self.epoch, self.step, self.first, self.seconds = 1, 0, 0, 0.0
        self.total = torch.zeros(2, dtype=torch.float64, device=self.device)

    @property
    def learning_rate(self) -> float:
        """That of the next step."""
        return self.optimizer.param_groups[0]["lr"]

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """In this block the network has the mean weights, if there are any."""
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
        """A copy of the weights to keep, in main memory."""
        with self.averaged():
            return {name: each.detach().cpu().clone() for name, each in self.network.state_dict().items()}

    def finish(self, row: Epoch) -> None:
        """Keep a row, and the weights if they are the best so far; stand at the start of the next."""
        if not self.rows or row.mae < min(each.mae for each in self.rows):
            self.best = self.weights()
        self.rows.append(row)
        if row.epoch == self.epoch:
            self.epoch, self.step = self.epoch + 1, 0
        self.first, self.seconds = self.step, 0.0
        self.total.zero_()
        if self.recipe.schedule == "plateau":
            self.plateau.step(self.optimizer, row.validation_loss, self.recipe)

    def finished(self) -> bool:
        """Whether all epochs are done, or too many validations have been without progress."""
        patience = self.recipe.early_stopping
        if self.epoch > self.recipe.epochs or not self.rows or patience is None:
            return self.epoch > self.recipe.epochs
        errors = [row.mae for row in self.rows]
        return len(errors) - 1 - errors.index(min(errors)) >= patience

    def tensors(self) -> dict[str, Tensor]:
        """All tensors, by name, with the random states of torch."""
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
        """All that is no tensor, as JSON takes it."""
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
        """Stand where `tensors` and `numbers` were taken. KeyError, ValueError, … if they are of something else."""

        def under(name: str) -> dict[str, Tensor]:
            return {key.removeprefix(f"{name}."): each for key, each in tensors.items() if key.startswith(f"{name}.")}

        require_forms(tensors, self._forms(tensors))
        require_numbers(numbers, but=("plateau", "rows", "order"))
        self.network.load_state_dict(under("network"))
        averages = under("average")
        parameters = self.parameters[: len(self.average)]
        self.average = [laid_out_as(parameter, averages[str(i)]) for i, parameter in enumerate(parameters)]
        self.best = under("best")
        whole = self.optimizer.state_dict()
        whole["state"] = {
            i: {name: each if name == "step" else laid_out_as(parameter, each) for name, each in moments.items()}
            for i, parameter in enumerate(self.parameters)
            if (moments := under(f"optimizer.{i}"))
        }
        self.optimizer.load_state_dict(whole)
        self.learning_rate = numbers["learning_rate"]
        self.plateau = Plateau(**require_numbers(numbers["plateau"]))
        self.rows = [Epoch(**require_numbers(row)) for row in numbers["rows"]]
        place = (numbers[name] for name in ("epoch", "step", "first", "seconds"))
        self.epoch, self.step, self.first, self.seconds = place
        self.total.copy_(tensors["total"])
        torch.set_rng_state(tensors["random.cpu"])
        if self.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)

    def _forms(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """For the names among these tensors, and those that must be there, tensors of the right form."""
        forms = {name: each for name, each in self.tensors().items() if not name.startswith("random.")}
        if any(name.startswith("best.") for name in tensors):
            forms |= {f"best.{name}": each for name, each in self.network.state_dict().items()}
        for name in tensors:
            kind, _, rest = name.partition(".")
            if kind == "optimizer" and not rest.endswith(".step"):
                forms[name] = self.parameters[int(rest.partition(".")[0])]
        return forms
