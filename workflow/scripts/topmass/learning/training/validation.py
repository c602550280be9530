"""What a network predicts for all jets of a split, and its errors."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from topmass.learning.device import autocast
from topmass.learning.feeding.cutting import batches
from topmass.learning.feeding.sources import Source
from topmass.learning.team import Team

AT_ONCE = {"cpu": 256, "cuda": 512}
"""Jets a batch where no gradients are needed: on a CPU more are no faster; the images of 512 and what the reference's
network makes of them first are 1.2 GB in float32 with eight layers, by count."""


@torch.no_grad()
def errors(
    network: nn.Module,
    source: Source,
    losses: Callable[[Tensor, Tensor], Tensor],
    device: torch.device,
    precision: torch.dtype,
    team: Team,
    stop: Callable[[], bool],
) -> tuple[float, float, float]:
    """Mean loss, absolute error in units of the mass scale, and relative error, by the weights of the jets.

    `losses` gives the loss of each jet from predicted and true mass. Each process of a team takes its share. Ends
    early, with the means so far, when `stop` says so.
    """
    network.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=device)
    with autocast(device, precision):
        for cut in batches(source.in_order(), AT_ONCE[device.type], team, device, source.device):
            batch = cut.on(device, source.meta)
            predicted = network(batch)
            error = (middle(predicted) - batch.target).abs()
            each = (losses(predicted, batch.target), error, error / batch.target, torch.ones_like(error))
            sums += (torch.stack(each) * batch.weight).sum(1)
            if stop():
                break
    team.add_up([sums])
    loss, absolute, relative = (sums[:3] / sums[3]).tolist()
    return loss, absolute, relative


@torch.no_grad()
def predict(network: nn.Module, source: Source, device: torch.device, precision: torch.dtype) -> Tensor:
    """Outputs (N, …) of all jets of a source, in units of the mass scale, in order."""
    network.eval()
    found = []
    with autocast(device, precision):
        for cut in batches(source.in_order(), AT_ONCE[device.type], Team(), device, source.device):
            batch = cut.on(device, source.meta)
            found.append(network(batch))
    return torch.cat(found)


def middle(outputs: Tensor) -> Tensor:
    """The mass itself, (N,), of outputs (N, Q)."""
    return outputs[:, outputs.shape[1] // 2]
