"""The values of sparse images in physical units, and where they are in the detector."""

from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from topmass.layers import LAYERS, PIXEL_ETA, PIXEL_PHI, SIDE
from topmass.learning.feeding.batches import LARGEST_IETA, SparseBatch, locate
from topmass.preprocessing.scaling import restore_values
from topmass.preprocessing.shards import ShardMeta

NUMBER = {layer.name: number for number, layer in enumerate(LAYERS)}
MIDDLE = (SIDE - 1) / 2
"""Row and column of the middle of the window, pixels."""
Positions = TypeVar("Positions", np.ndarray, Tensor)


class Hits(NamedTuple):
    """The V values of B jets.

    `jet` (V,); `layer` (V,), a number of LAYERS; `value` (V,) in the unit of the layer, of the whole cell where that is
    an energy; `eta` and `phi` (V,) of the middle of the cell from that of the window; `window_eta` (B,), the η of that,
    0 where it is unknown. What is no index is float64.
    """

    jet: Tensor
    layer: Tensor
    value: Tensor
    eta: Tensor
    phi: Tensor
    window_eta: Tensor

    def of(self, *layers: str) -> "Hits":
        """Those of these layers."""
        chosen = torch.stack([self.layer == NUMBER[name] for name in layers]).any(0).nonzero()[:, 0]
        return Hits(*(each[chosen] for each in self[:-1]), self.window_eta)


def find_hits(batch: SparseBatch, meta: ShardMeta) -> Hits:
    """The hits of a batch of shards like these, on its device."""
    device = batch.value.device
    places, cell = locate(batch, meta)
    scales = torch.tensor(meta.scales, dtype=torch.float64)
    numbers = torch.tensor([NUMBER[name] for name in meta.layers])
    layer, scale = (each.to(device, non_blocking=True)[places.layer] for each in (numbers, scales))
    value = restore_values(batch.value.double(), scale, meta.compression)
    # A tower that is stored once has the value of one of its pixels.
    value = torch.where(layer == NUMBER["hcal"], value * cell**2, value)
    eta, phi = ((place * cell + (cell - 1) / 2 - MIDDLE).double() for place in (places.row, places.column))
    window = (
        eta_of(batch.position[:, 1].double() * LARGEST_IETA) if meta.position else eta.new_zeros(batch.length.shape)
    )
    return Hits(places.jet, layer, value, eta * PIXEL_ETA, phi * PIXEL_PHI, window)


def eta_of(ieta: Positions) -> Positions:
    """η of the middle of a pixel: pixel i lies between η = i and i + 1 pixels."""
    return (ieta + 0.5) * PIXEL_ETA
