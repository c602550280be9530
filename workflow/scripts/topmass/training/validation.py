"""Predictions of a network for all jets of a split, and their errors."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from topmass.data.batching import load_batches
from topmass.data.datasets import Dataset
from topmass.device import autocast
from topmass.process_group import ProcessGroup
from topmass.progress import Progress

PREDICT_BATCH_SIZE = {"cpu": 256, "cuda": 512}
"""Jets per batch without gradients. Larger batches are no faster on a CPU. 512 images and the first activations of the
reference network take 1.2 GB in float32 with eight layers (calculated)."""


@torch.no_grad()
def validation_errors(
    network: nn.Module,
    source: Dataset,
    losses: Callable[[Tensor, Tensor], Tensor],
    device: torch.device,
    precision: torch.dtype,
    team: ProcessGroup,
    stop: Callable[[], bool],
) -> tuple[float, float, float]:
    """Return the weighted mean loss, absolute error in units of the mass scale, and relative error.

    Args:
        network: Network to validate.
        source: Validation jets.
        losses: Function of outputs (B, Q) and masses (B,) that returns the loss (B,) per jet.
        device: Device of the network.
        precision: Dtype of autocast.
        team: Process group; each rank processes its part of each batch.
        stop: Called after each batch; if True, the means cover only the jets so far.
    """
    network.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=device)
    with autocast(device, precision), Progress("validation", len(source)) as progress:
        for cut in load_batches(source.in_order(), PREDICT_BATCH_SIZE[device.type], team, device, source.device):
            batch = cut.on(device, source.meta)
            predicted = network(batch)
            error = (median_prediction(predicted) - batch.target).abs()
            each = (losses(predicted, batch.target), error, error / batch.target, torch.ones_like(error))
            sums += (torch.stack(each) * batch.weight).sum(1)
            progress.update(cut.jets)
            if stop():
                break
    team.all_reduce_sum([sums])
    loss, absolute, relative = (sums[:3] / sums[3]).tolist()
    return loss, absolute, relative


@torch.no_grad()
def predict_outputs(
    network: nn.Module,
    source: Dataset,
    device: torch.device,
    precision: torch.dtype,
    advance: Callable[[int], object] = lambda jets: None,
) -> Tensor:
    """Return the outputs (N, Q) of all jets in order, in units of the mass scale.

    `advance` is called with the number of jets after each batch.
    """
    network.eval()
    found = []
    with autocast(device, precision):
        for cut in load_batches(
            source.in_order(), PREDICT_BATCH_SIZE[device.type], ProcessGroup(), device, source.device
        ):
            batch = cut.on(device, source.meta)
            found.append(network(batch))
            advance(cut.jets)
    return torch.cat(found)


def median_prediction(outputs: Tensor) -> Tensor:
    """Return the predicted masses (N,), the central column of the outputs (N, Q)."""
    return outputs[:, outputs.shape[1] // 2]
