"""ONNX-exportable wrappers: raw inputs in, masses in GeV out."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from topmass.data.batches import LARGEST_IETA, LARGEST_IPHI, SparseBatch
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.scaling import LOG_GAIN
from topmass.preprocessing.shards import MASS_SCALE
from topmass.training.calibration import scale_intervals
from topmass.training.inference import median_prediction


class TracedBatch(SparseBatch):
    """Batch with dynamic numbers of jets and hits, without in-place operations."""

    def jet(self) -> Tensor:
        """Return the jet index of each hit: the number of jets that begin up to this hit, minus one.

        ONNX has no operation for `SparseBatch.jet`.
        """
        ones = torch.ones_like(self.length)
        # An empty jet begins where the next jet does. An empty last jet begins after all values.
        begins = ones.new_zeros(self.value.shape[0] + 1).index_add(0, self.length.cumsum(0) - self.length, ones)
        return begins.cumsum(0)[:-1] - 1

    def spread(self, image: Tensor, cells: Sequence[int]) -> Tensor:
        """Return the same as `SparseBatch.spread`."""
        for size in {*cells} - {1}:
            first = image[:, ::size, None, ::size, None]
            copied = first.expand(-1, -1, size, -1, size, -1).flatten(3, 4).flatten(1, 2)
            image = torch.where(torch.tensor(cells) == size, copied, image)
        return image


class ExportWrapper(nn.Module):
    """Model with its preprocessing and its calibration.

    The inputs of `forward` have the names in `inputs`. All are float32 with one row per jet. The outputs in GeV are
    `mass` (N,) and, for a model with quantiles, `quantiles` (N, Q).
    """

    inputs: tuple[str, ...]

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.model, self.network = model, model.network
        self.register_buffer("scales", torch.tensor(model.shards.scales))

    def outputs(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return ("mass", "quantiles") if self.model.quantiles else ("mass",)

    def zero_suppression_mask(self, value: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return values divided by their scales, and the mask of values that are neither zero nor suppressed."""
        scaled = value / scale
        return scaled, (value != 0) & (scaled.abs() >= self.model.shards.zero_suppression)

    def compress(self, scaled: Tensor) -> Tensor:
        """Return compressed float16 values as in a shard (see `scale_values`)."""
        scaled = scaled.clamp(-1, 1)
        compressed = scaled.double()
        if self.model.shards.compression == "log":
            # In NumPy's precision: a different last digit of float16 changes an energy by 0.2 %. ONNX lacks log1p.
            logarithm = (1 + (LOG_GAIN * scaled.abs()).double()).log().float().double()
            compressed = scaled.sign() * logarithm / math.log1p(LOG_GAIN)
        return round_to_half(compressed).half()

    def masses(
        self, mask: Tensor, scaled: Tensor, layer: Tensor, pixel: Tensor, position: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the outputs of the model.

        Args:
            mask: Mask (N, …) of the hits to use.
            scaled: Scaled values (V,) of these hits.
            layer: Layer indices (V,).
            pixel: Pixel indices (V,).
            position: ieta and iphi (N, 2) of the jets, or (N, 0) if the model does not use positions.
        """
        jets = torch.zeros_like(mask.flatten(1)[:, 0], dtype=torch.float32)
        scales = position.new_tensor([LARGEST_IPHI, LARGEST_IETA][: self.model.shards.coordinates])
        batch = TracedBatch(
            length=mask.flatten(1).long().sum(1),
            pixel=pixel,
            layer=layer,
            value=self.compress(scaled),
            position=position.flip(1) / scales,
            target=jets,
            weight=jets,
            features=jets[:, None][:, :0],
        )
        outputs = scale_intervals(self.network(batch), self.model.conformal_scale) * MASS_SCALE
        mass = median_prediction(outputs)
        return (mass, outputs) if self.model.quantiles else (mass,)


def round_to_half(value: Tensor) -> Tensor:
    """Round float64 values to float16 precision by arithmetic; the dtype remains float64.

    Runtimes convert by way of float32, which rounds some values twice, or omit a conversion to float16 and back
    (onnxruntime before 1.17). Splitting method: G. W. Veltkamp, in T. J. Dekker, Numer. Math. 18, 224 (1971).
    """
    large = value * (2.0**42 + 1)
    # Below 2⁻¹⁴ float16 has multiples of 2⁻²⁴, as float64 has between 2²⁸ and 2²⁹.
    offset = 1.5 * 2.0**28
    return torch.where(value.abs() < 2.0**-14, (value + offset) - offset, large - (large - value))


class DenseWrapper(ExportWrapper):
    """Wrapper for images: `image` (N, layers, side, side), and `ieta` and `iphi` (N,) if the model uses positions.

    If a cell is larger than a pixel, all its pixels have the value of the cell. Only the first of them is read.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__(model)
        self.inputs = ("image", "ieta", "iphi") if model.shards.position else ("image",)
        side = torch.arange(model.shards.side)
        first = torch.stack([side % cell == 0 for cell in model.shards.cells])
        self.register_buffer("first", first[:, :, None] & first[:, None])
        self.register_buffer("cells", torch.tensor(model.shards.cells))

    def forward(self, image: Tensor, *position: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs named in `outputs` from the inputs named in `inputs`."""
        scaled, mask = self.zero_suppression_mask(image, self.scales[:, None, None])
        mask = mask & self.first
        jet, layer, row, column = mask.nonzero().unbind(1)
        cell = self.cells[layer]
        across = self.model.shards.side // cell
        pixel = row.div(cell, rounding_mode="floor") * across + column.div(cell, rounding_mode="floor")
        places = torch.stack(position, dim=1) if position else image.flatten(1)[:, :0]
        return self.masses(mask, scaled[jet, layer, row, column], layer, pixel, places)


class SparseWrapper(ExportWrapper):
    """Wrapper for hits: `hits` (N, H, 4) and, if the model uses positions, `position` (N, 2), which is ieta and iphi.

    A hit consists of row and column on the grid of its layer, the layer index in the model, and the value. Hits of
    value 0 are padding.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__(model)
        self.inputs = ("hits", "position") if model.shards.position else ("hits",)
        self.register_buffer("across", torch.tensor([model.shards.side // cell for cell in model.shards.cells]))

    def forward(self, hits: Tensor, *position: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs named in `outputs` from the inputs named in `inputs`."""
        row, column, layer = (each.long() for each in hits[..., :3].unbind(2))
        scaled, mask = self.zero_suppression_mask(hits[..., 3], self.scales[layer])
        pixel = row * self.across[layer] + column
        used = mask.flatten().nonzero()[:, 0]
        scaled, layer, pixel = (values.flatten()[used] for values in (scaled, layer, pixel))
        return self.masses(mask, scaled, layer, pixel, position[0] if position else hits[:, 0, :0])
