"""Hits of sparse images in physical units, with their positions."""

from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from topmass.data.batches import LARGEST_IETA, SparseBatch, unravel_pixels
from topmass.layers import LAYERS, PIXEL_ETA, PIXEL_PHI, SIDE
from topmass.preprocessing.scaling import denormalize
from topmass.preprocessing.shards import ShardMeta

LAYER_INDEX = {layer.name: number for number, layer in enumerate(LAYERS)}
WINDOW_CENTRE = (SIDE - 1) / 2
"""Row and column of the centre of the window, pixels."""
Array = TypeVar("Array", np.ndarray, Tensor)


class Hits(NamedTuple):
    """The V hits of B jets; floating-point tensors are float64.

    Attributes:
        jet: Index (V,) of the jet, or of the tower slot (see `Towers.slot`) where a function requires slots.
        layer: Index (V,) into `LAYERS`.
        value: Value (V,) in the unit of the layer; an energy is that of the complete cell.
        eta: Δη (V,) between the centre of the cell and the centre of the window.
        phi: Δφ (V,) between the same centres, radians.
        window_eta: η (B,) of the centre of the window; 0 where unknown.
    """

    jet: Tensor
    layer: Tensor
    value: Tensor
    eta: Tensor
    phi: Tensor
    window_eta: Tensor

    def of(self, *layers: str) -> "Hits":
        """Return the hits of these layers."""
        indices = torch.stack([self.layer == LAYER_INDEX[name] for name in layers]).any(0).nonzero()[:, 0]
        return Hits(*(values[indices] for values in self[:-1]), self.window_eta)


def decode_hits(batch: SparseBatch, meta: ShardMeta) -> Hits:
    """Decode the hits of a batch of shards with metadata `meta`, on its device."""
    device = batch.value.device
    places, cell = unravel_pixels(batch, meta)
    scales = torch.tensor(meta.scales, dtype=torch.float64)
    layers = torch.tensor([LAYER_INDEX[name] for name in meta.layers])
    layer, scale = (table.to(device, non_blocking=True)[places.layer] for table in (layers, scales))
    value = denormalize(batch.value.double(), scale, meta.compression)
    # An HCAL tower that is stored as one cell has the value of one of its pixels.
    value = torch.where(layer == LAYER_INDEX["hcal"], value * cell**2, value)
    eta, phi = ((place * cell + (cell - 1) / 2 - WINDOW_CENTRE).double() for place in (places.row, places.column))
    window = (
        eta_from_ieta(batch.position[:, 1].double() * LARGEST_IETA)
        if meta.position
        else eta.new_zeros(batch.length.shape)
    )
    return Hits(places.jet, layer, value, eta * PIXEL_ETA, phi * PIXEL_PHI, window)


def eta_from_ieta(ieta: Array) -> Array:
    """Return η of the centre of a pixel: pixel i lies between η = i and i + 1 pixels."""
    return (ieta + 0.5) * PIXEL_ETA
