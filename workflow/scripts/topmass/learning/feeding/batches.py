"""Jets of many shards as one set of tensors, and batches of them, as networks take them, on their device."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from topmass.learning.device import threads_of_one
from topmass.preprocessing.shards import MASS_SCALE, SPARSE, Shard, ShardMeta

LARGEST_IPHI, LARGEST_IETA = 360.0, 170.0
"""Positions are divided by these, as in the reference."""
BYTES_PER_VALUE = sum(dtype.itemsize for dtype in SPARSE.values())
BYTES_PER_JET = 8 + 2 * 4 + 4 + 4 + 3 * 8
"""Of a jet in a SparseJets, beside its values and numbers."""
BYTES_PER_NUMBER = 4
AT_ONCE = {"cpu": 512, "cuda": 8192}
"""Jets of which numbers are made together: what 512 are made from is some 10 MB, which a cache of a CPU has room for. A
GPU waits for the host with so few: an H100 found the numbers of `prongs` of 17,000 jets a second, and of 239,000 with
8,192 together, for which a gigabyte is enough."""


class SparseBatch(NamedTuple):
    """B jets as they lie in a shard: the first `length[0]` values are those of the first jet, and so on.

    `length` (B,) int64; `pixel` int16, `layer` uint8, `value` float16, (V,) each; `position` (B, 2), iphi / 360 and
    ieta / 170, or (B, 0) where it is unknown; `target` (B,), mass / 500; `weight` (B,) of a jet in loss and errors;
    `numbers` (B, K) float32, what the network has asked for of each jet beforehand (see `Taker`), or (B, 0).
    """

    length: Tensor
    pixel: Tensor
    layer: Tensor
    value: Tensor
    position: Tensor
    target: Tensor
    weight: Tensor
    numbers: Tensor

    def jet(self) -> Tensor:
        """The jet (V,) of each value."""
        jets = torch.arange(len(self.length), device=self.length.device)
        return torch.repeat_interleave(jets, self.length, output_size=len(self.value))

    def spread(self, image: Tensor, cells: Sequence[int]) -> Tensor:
        """The same image (B, H, W, C), in which the first pixel of each cell is now the value of all its pixels."""
        for number, size in enumerate(cells):
            if size > 1:
                parts = image[..., number].unflatten(2, (-1, size)).unflatten(1, (-1, size))
                parts.copy_(parts[:, :, :1, :, :1].clone().expand_as(parts))
        return image

    def to(self, device: torch.device) -> "SparseBatch":
        """The same on another device; the copy is asynchronous where the memory is pinned."""
        return SparseBatch(*(each.to(device, non_blocking=True) for each in self))

    def pinned(self) -> "SparseBatch":
        """The same in pinned memory, from which a GPU copies by itself."""
        return SparseBatch(*(each.pin_memory() for each in self))


def join(parts: Sequence[SparseBatch]) -> SparseBatch:
    """The jets of all parts, one part after the other."""
    return parts[0] if len(parts) == 1 else SparseBatch(*(torch.cat(each) for each in zip(*parts, strict=True)))


class Places(NamedTuple):
    """Where values (V,) are in the images of a batch: jet, layer, and row and column on the layer's own grid."""

    jet: Tensor
    layer: Tensor
    row: Tensor
    column: Tensor


def locate(batch: SparseBatch, meta: ShardMeta) -> tuple[Places, Tensor]:
    """Where the values are, and the side of the cell of each (V,), pixels."""
    jet = batch.jet()
    layer, pixel = batch.layer.long(), batch.pixel.long()
    cell = torch.tensor(meta.cells).to(layer.device, non_blocking=True)[layer]
    across = meta.side // cell
    row = torch.div(pixel, across, rounding_mode="floor")
    return Places(jet, layer, row, pixel - row * across), cell


def scatter(batch: SparseBatch, meta: ShardMeta, values: Tensor | None = None) -> Tensor:
    """Float32 images (B, C, H, W) of these jets, channels last; of `values` (V, F) in place of theirs (B, C × F, H, W).

    A value of a layer of coarser cells goes to the first pixel of its cell, and is spread over the cell then. No two
    values fall on one pixel of a layer, so that the result does not depend on the order in which they are written;
    and nothing here waits for a GPU.
    """
    side, layers = meta.side, len(meta.layers)
    jets = batch.length.shape[0]
    values = batch.value[:, None].float() if values is None else values
    forms = values.shape[1]
    image = torch.zeros(jets * side * side * layers, forms, device=values.device)
    places, cell = locate(batch, meta)
    first = (places.jet * side + places.row * cell) * side + places.column * cell
    image[first * layers + places.layer] = values
    cells = [cell for cell in meta.cells for _ in range(forms)]
    return batch.spread(image.view(jets, side, side, layers * forms), cells).permute(0, 3, 1, 2)


class Taker(Protocol):
    """Who says what is kept of each jet: its `hits`, or only so many `numbers`, which `look` makes of them once."""

    hits: bool
    numbers: int

    def look(self, batch: SparseBatch) -> Tensor:
        """Numbers (B, `numbers`) float32 of a batch with its hits."""


@dataclass(frozen=True)
class SparseJets:
    """N jets on one device, sparse as on disk.

    `offset` (N + 1), `pixel`, `layer`, `value` as in a shard; `position`, `target`, `weight` and `numbers` (N, …) as
    in a SparseBatch. On the host, as NumPy arrays: `first` (the offsets again), `weights` (N,), `event` (N,).
    """

    meta: ShardMeta
    offset: Tensor
    pixel: Tensor
    layer: Tensor
    value: Tensor
    position: Tensor
    target: Tensor
    weight: Tensor
    numbers: Tensor
    first: np.ndarray
    weights: np.ndarray
    event: np.ndarray

    def __len__(self) -> int:
        return len(self.target)

    @property
    def device(self) -> torch.device:
        """Where the jets are."""
        return self.target.device

    def gather(self, jets: Tensor, values: int) -> SparseBatch:
        """The jets at these indices (B,); `values` is how many values they have together, known on the host."""
        first = self.offset[jets]
        length = self.offset[jets + 1] - first
        shift = first - (torch.cumsum(length, 0) - length)
        chosen = torch.repeat_interleave(shift, length, output_size=values)
        chosen += torch.arange(values, device=chosen.device)
        sparse = (each[chosen] for each in (self.pixel, self.layer, self.value))
        beside = (each[jets] for each in (self.position, self.target, self.weight, self.numbers))
        return SparseBatch(length, *sparse, *beside)

    def take(self, jets: np.ndarray) -> "SparseJets":
        """A copy of the jets at these indices."""
        values = int((self.first[jets + 1] - self.first[jets]).sum())
        length, *arrays = self.gather(torch.from_numpy(jets).to(self.device), values)
        first = np.concatenate([[0], np.cumsum(length.cpu().numpy())])
        offset = torch.from_numpy(first).to(self.device)
        return SparseJets(self.meta, offset, *arrays, first, self.weights[jets], self.event[jets])

    def seen(self, look: Callable[[SparseBatch], Tensor]) -> Tensor:
        """What `look` makes of all jets, (N, …), batch by batch; on a CPU each thread takes batches of its own."""
        together = AT_ONCE[self.device.type]

        @torch.no_grad()
        def of_batch(first: int) -> Tensor:
            last = min(len(self), first + together)
            values = int(self.first[last] - self.first[first])
            return look(self.gather(torch.arange(first, last, device=self.device), values))

        # One batch at least, so that nothing has the shape of something.
        starts = range(0, max(1, len(self)), together)
        if self.device.type == "cuda":
            return torch.cat([*map(of_batch, starts)])
        with threads_of_one() as pool:
            return torch.cat([*pool.map(of_batch, starts)])

    @classmethod
    def build(
        cls,
        shards: Iterable[Shard],
        meta: ShardMeta,
        jets: int,
        values: int,
        device: torch.device,
        taker: Taker | None = None,
    ) -> "SparseJets":
        """All jets of these shards, one shard after the other, with all hits or what the taker says.

        `jets` and `values` is how many are kept of all shards together.
        """
        host = {"first": np.zeros(jets + 1, np.int64), "weights": np.ones(jets, "f4"), "event": np.zeros(jets, "i8")}
        sparse = {"pixel": torch.int16, "layer": torch.uint8, "value": torch.float16}
        tensors = {name: torch.empty(values, dtype=dtype, device=device) for name, dtype in sparse.items()}
        tensors |= {"position": torch.empty(jets, meta.coordinates, device=device)}
        tensors |= {"target": torch.empty(jets, device=device)}
        tensors |= {"numbers": torch.empty(jets, taker.numbers if taker else 0, device=device)}
        jet = value = 0
        for shard in shards:
            here = slice(jet, jet + len(shard))
            if taker and taker.numbers:
                tensors["numbers"][here] = cls.of(shard, device).seen(taker.look)
            if taker and not taker.hits:
                shard = shard.without_values()
            of_values = slice(value, value + int(shard.offset[-1]))
            host["first"][jet + 1 : here.stop + 1] = shard.offset[1:] + value
            host["weights"][here] = shard.arrays["weight"]
            host["event"][here] = shard.arrays["event"]
            # All indices of pixels are below 2^15, and torch has little arithmetic for uint16.
            for name, dtype in (("pixel", "i2"), ("layer", "u1"), ("value", "f2")):
                tensors[name][of_values] = torch.from_numpy(shard.arrays[name].astype(dtype, copy=False))
            position = np.stack([shard.arrays["iphi"] / LARGEST_IPHI, shard.arrays["ieta"] / LARGEST_IETA], axis=1)
            tensors["position"][here] = torch.from_numpy(position[:, : meta.coordinates].astype("f4"))
            tensors["target"][here] = torch.from_numpy(shard.arrays["mass"] / np.float32(MASS_SCALE))
            jet, value = here.stop, of_values.stop
        offset, weight = (torch.from_numpy(host[name]).to(device) for name in ("first", "weights"))
        return cls(meta, offset, weight=weight, **tensors, **host)

    @classmethod
    def of(cls, shard: Shard, device: torch.device) -> "SparseJets":
        """The jets of one shard."""
        return cls.build([shard], shard.meta, len(shard), int(shard.offset[-1]), device)
