"""Inference with a trained model on the jets of a shard."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from topmass.data.batches import SparseJets
from topmass.data.datasets import InMemoryDataset
from topmass.device import find_device, find_precision
from topmass.files import BadInput
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import MASS_SCALE, Shard
from topmass.training.calibration import scale_intervals
from topmass.training.validation import predict_outputs


def check_finite(masses: np.ndarray, path: Path, first: int = 0) -> None:
    """Check that all predicted masses are finite.

    Args:
        masses: Predicted masses (N, Q).
        path: File of the jets, for the message.
        first: Row of the first of these jets in the file.

    Raises:
        BadInput: A mass is not finite; the message contains the first such row.
    """
    wrong = np.flatnonzero(~np.isfinite(masses).all(axis=1))
    if len(wrong):
        count = f"like {len(wrong) - 1:,} more of the {len(masses):,} jets that were predicted with it"
        raise BadInput(f"{path}: row {first + wrong[0]}: the predicted mass is not finite, {count}")


class Predictor:
    """Trained model on a device.

    Args:
        model: Model file.
        device: Device, as in the configuration.
        precision: Precision, as in the configuration.
        setting: User's name for the device setting, for messages.

    Raises:
        BadInput: There is no such model or GPU.
    """

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
        jets = SparseJets.of(shard, self.device)
        outputs = predict_outputs(self.model.network, InMemoryDataset(jets), self.device, self.precision, advance)
        return scale_intervals(outputs, self.model.conformal_scale).cpu().numpy() * MASS_SCALE
