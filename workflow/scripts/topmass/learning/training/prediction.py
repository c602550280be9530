"""A trained model at work: the masses that it gives for the jets of a shard."""

from pathlib import Path

import numpy as np
import torch

from topmass.learning.device import find_device, find_precision
from topmass.learning.feeding.batches import SparseJets
from topmass.learning.feeding.sources import InMemory
from topmass.learning.networks.model import Model
from topmass.learning.training.calibration import widened
from topmass.learning.training.validation import predict
from topmass.preprocessing.shards import MASS_SCALE, Shard


class Predictor:
    """A model of this file on a device, by names as in the configuration; BadInput if there is no such model or GPU."""

    def __init__(self, model: Path, device: str, precision: str) -> None:
        self.device = find_device(device)
        self.precision = find_precision(precision, self.device)
        self.model = Model.load(model)
        self.model.network.to(self.device, memory_format=torch.channels_last)

    def masses(self, shard: Shard) -> np.ndarray:
        """Masses (N, 1) in GeV of the jets of a shard, or their calibrated quantiles (N, 3)."""
        jets = SparseJets.of(shard, self.device)
        outputs = predict(self.model.network, InMemory(jets), self.device, self.precision)
        return widened(outputs, self.model.widening).cpu().numpy() * MASS_SCALE
