"""Predictions of networks and of trained models."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from topmass.data.batches import SparseBatch, SparseJets
from topmass.data.batching import load_batches
from topmass.data.datasets import Dataset, InMemoryDataset
from topmass.device import autocast, find_device, find_precision
from topmass.files import BadInput
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import MASS_SCALE, Shard
from topmass.process_group import ProcessGroup
from topmass.training.calibration import scale_intervals

PREDICT_BATCH_SIZE = {"cpu": 256, "cuda": 512}
"""Jets per batch without gradients. Larger batches are no faster on a CPU. 512 images and the first activations of the
reference network take 1.2 GB in float32 with eight layers (calculated)."""


@torch.no_grad()
def predict_batches(
    network: nn.Module,
    jets: Dataset,
    device: torch.device,
    precision: torch.dtype,
    group: ProcessGroup | None = None,
    advance: Callable[[int], object] = lambda jets: None,
) -> Iterator[tuple[SparseBatch, Tensor]]:
    """Yield all jets in order, batch by batch, with the outputs (B, Q) of a network in units of the mass scale.

    Args:
        network: Network, which is switched to evaluation.
        jets: Jets.
        device: Device of the network.
        precision: Dtype of autocast.
        group: Process group; each rank processes its part of each batch. Default: this process alone.
        advance: Called with the number of jets of each batch, of all ranks.
    """
    network.eval()
    size = PREDICT_BATCH_SIZE[device.type]
    for minibatch in load_batches(jets.in_order(), size, group or ProcessGroup(), device, jets.device):
        batch = minibatch.on(device, jets.meta)
        with autocast(device, precision):
            outputs = network(batch)
        yield batch, outputs
        advance(minibatch.jets)


def median_prediction(outputs: Tensor) -> Tensor:
    """Return the predicted masses (N,), the central column of the outputs (N, Q)."""
    return outputs[:, outputs.shape[1] // 2]


def check_finite(masses: np.ndarray, path: Path, first: int = 0) -> None:
    """Raise BadInput with the row in the file if a predicted mass (N, Q) is not finite; `first` is the first row."""
    wrong = np.flatnonzero(~np.isfinite(masses).all(axis=1))
    if len(wrong):
        count = f"like {len(wrong) - 1:,} more of the {len(masses):,} jets that were predicted with it"
        raise BadInput(f"{path}: row {first + wrong[0]}: the predicted mass is not finite, {count}")


class Predictor:
    """Trained model on a device; `setting` is the user's name for the device setting, for messages."""

    def __init__(
        self, model: Path, device: str = "auto", precision: str = "auto", setting: str = "compute.device"
    ) -> None:
        self.device = find_device(device, setting)
        self.precision = find_precision(precision, self.device)
        self.model = TrainedModel.load(model)
        self.model.network.to(self.device, memory_format=torch.channels_last)

    def masses(self, shard: Shard, advance: Callable[[int], object] = lambda jets: None) -> np.ndarray:
        """Return masses (N, 1), or calibrated quantiles (N, 3), of the jets of a shard, GeV.

        `advance` is called with the number of jets after each batch.
        """
        network = self.model.network
        hits = int(shard.offset[-1]) if network.needs_hits else 0
        jets = InMemoryDataset(SparseJets.build([shard], shard.meta, len(shard), hits, self.device, network))
        batches = predict_batches(network, jets, self.device, self.precision, advance=advance)
        outputs = torch.cat([outputs for _, outputs in batches])
        return scale_intervals(outputs, self.model.conformal_scale).cpu().numpy() * MASS_SCALE
