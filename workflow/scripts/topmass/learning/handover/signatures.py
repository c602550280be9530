"""What others call: raw numbers of jets in, masses in GeV out, with the preprocessing of the model in between."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from topmass.learning.feeding.batches import LARGEST_IETA, LARGEST_IPHI, SparseBatch
from topmass.learning.networks.model import Model
from topmass.learning.training.calibration import widened
from topmass.learning.training.validation import middle
from topmass.preprocessing.scaling import LOG_GAIN
from topmass.preprocessing.shards import MASS_SCALE


class TracedBatch(SparseBatch):
    """A batch whose numbers of jets and of values are not known before the graph runs, and in which nothing changes."""

    def jet(self) -> Tensor:
        """As `SparseBatch.jet`, which ONNX has no operation for: how many jets begin up to each value, less one."""
        ones = torch.ones_like(self.length)
        # A jet without values begins where the next one does, the last of them behind all values.
        begins = ones.new_zeros(self.value.shape[0] + 1).index_add(0, self.length.cumsum(0) - self.length, ones)
        return begins.cumsum(0)[:-1] - 1

    def spread(self, image: Tensor, cells: Sequence[int]) -> Tensor:
        """As `SparseBatch.spread`."""
        for size in {*cells} - {1}:
            first = image[:, ::size, None, ::size, None]
            whole = first.expand(-1, -1, size, -1, size, -1).flatten(3, 4).flatten(1, 2)
            image = torch.where(torch.tensor(cells) == size, whole, image)
        return image


class Signature(nn.Module):
    """A model with its preprocessing before and its calibration behind it.

    The inputs of `forward` are those of `inputs` by their names, all float32 with one row a jet; out come `mass` (N,)
    and, of a model that has quantiles, `quantiles` (N, Q), in GeV.
    """

    inputs: tuple[str, ...]

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.network = model, model.network
        self.register_buffer("scales", torch.tensor(model.shards.scales))

    def outputs(self) -> tuple[str, ...]:
        """Names of what comes out."""
        return ("mass", "quantiles") if self.model.quantiles else ("mass",)

    def find_kept(self, value: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Values divided by their scales, and which of them are neither nothing nor suppressed."""
        scaled = value / scale
        return scaled, (value != 0) & (scaled.abs() >= self.model.shards.zero_suppression)

    def compress(self, scaled: Tensor) -> Tensor:
        """Float16 values, as a shard has them; see `scale_values`."""
        scaled = scaled.clamp(-1, 1)
        if self.model.shards.compression == "log":
            # Rounded where NumPy rounds: another last digit of float16 is 0.2 % of an energy. ONNX knows no log1p.
            logarithm = (1 + (LOG_GAIN * scaled.abs()).double()).log().float().double()
            scaled = to_eleven_bits(scaled.sign() * logarithm / math.log1p(LOG_GAIN))
        return scaled.half()

    def masses(self, kept: Tensor, scaled: Tensor, layer: Tensor, pixel: Tensor, place: Tensor) -> tuple[Tensor, ...]:
        """What the model says of jets (N, …), which values of them are `kept`, and what these (V,) are and where.

        `place` (N, 2) is their ieta and iphi, or (N, 0).
        """
        jets = torch.zeros_like(kept.flatten(1)[:, 0], dtype=torch.float32)
        scales = place.new_tensor([LARGEST_IPHI, LARGEST_IETA][: self.model.shards.coordinates])
        batch = TracedBatch(
            length=kept.flatten(1).long().sum(1),
            pixel=pixel,
            layer=layer,
            value=self.compress(scaled),
            position=place.flip(1) / scales,
            target=jets,
            weight=jets,
            numbers=jets[:, None][:, :0],
        )
        found = widened(self.network(batch), self.model.widening) * MASS_SCALE
        return (middle(found), found) if self.model.quantiles else (middle(found),)


def to_eleven_bits(value: Tensor) -> Tensor:
    """Float64 values with as many digits as float16 has: by way of float32, as runtimes go, some are rounded twice.

    G. W. Veltkamp's way to split a number (T. J. Dekker, Numer. Math. 18, 224, 1971).
    """
    large = value * (2.0**42 + 1)
    return large - (large - value)


class Dense(Signature):
    """Whole images: `image` (N, layers, side, side), and `ieta` and `iphi` (N,) where the model takes positions.

    Of a cell that is larger than a pixel, each pixel has the value of the cell; the first of them is looked at.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.inputs = ("image", "ieta", "iphi") if model.shards.position else ("image",)
        side = torch.arange(model.shards.side)
        first = torch.stack([side % cell == 0 for cell in model.shards.cells])
        self.register_buffer("first", first[:, :, None] & first[:, None])
        self.register_buffer("cells", torch.tensor(model.shards.cells))

    def forward(self, image: Tensor, *place: Tensor) -> tuple[Tensor, ...]:
        """As `inputs` and `outputs` say."""
        scaled, kept = self.find_kept(image, self.scales[:, None, None])
        kept = kept & self.first
        jet, layer, row, column = kept.nonzero().unbind(1)
        cell = self.cells[layer]
        across = self.model.shards.side // cell
        pixel = row.div(cell, rounding_mode="floor") * across + column.div(cell, rounding_mode="floor")
        place = torch.stack(place, dim=1) if place else image.flatten(1)[:, :0]
        return self.masses(kept, scaled[jet, layer, row, column], layer, pixel, place)


class Sparse(Signature):
    """Their values alone: `hits` (N, H, 4) and, where the model takes positions, `position` (N, 2), ieta and iphi.

    A hit is row and column on the grid of its layer, the number of the layer in the model, and the value; one of
    value 0 is nothing, so that any jet may be filled up with them.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.inputs = ("hits", "position") if model.shards.position else ("hits",)
        self.register_buffer("across", torch.tensor([model.shards.side // cell for cell in model.shards.cells]))

    def forward(self, hits: Tensor, *place: Tensor) -> tuple[Tensor, ...]:
        """As `inputs` and `outputs` say."""
        row, column, layer = (each.long() for each in hits[..., :3].unbind(2))
        scaled, kept = self.find_kept(hits[..., 3], self.scales[layer])
        pixel = row * self.across[layer] + column
        chosen = kept.flatten().nonzero()[:, 0]
        scaled, layer, pixel = (each.flatten()[chosen] for each in (scaled, layer, pixel))
        return self.masses(kept, scaled, layer, pixel, place[0] if place else hits[:, 0, :0])
