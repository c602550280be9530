"""All jets of a split as one set of tensors, and dense batches made of them on the device."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from topmass.preprocessing.shards import MASS_SCALE, Shard

LARGEST_IPHI, LARGEST_IETA = 360.0, 170.0
"""Positions are divided by these, as in the reference."""


class Batch(NamedTuple):
    """`image` (B, C, H, W), channels last; `position` (B, 2), iphi / 360 and ieta / 170; `target` (B,), mass / 500."""

    image: Tensor
    position: Tensor
    target: Tensor


class SparseJets:
    """Jets of several shards on one device, sparse as on disk.

    `offset` (N + 1), `pixel`, `layer`, `value` as in a shard; `position` (N, 2) and `target` (N) as in a Batch.
    """

    def __init__(self, shards: Sequence[Shard], device: torch.device) -> None:
        self.meta = shards[0].meta
        starts = np.cumsum([0] + [shard.offset[-1] for shard in shards])
        offset = np.concatenate(
            [[0], *(shard.offset[1:] + start for shard, start in zip(shards, starts[:-1], strict=True))]
        )

        def gather(name: str) -> np.ndarray:
            return np.concatenate([shard.arrays[name] for shard in shards])

        self.offset = torch.from_numpy(offset.astype(np.int64)).to(device)
        # All indices of pixels are below 2^15, and torch has no arithmetic for uint16.
        self.pixel = torch.from_numpy(gather("pixel").astype(np.int16)).to(device)
        self.layer = torch.from_numpy(gather("layer")).to(device)
        self.value = torch.from_numpy(gather("value")).to(device)
        position = np.stack([gather("iphi") / LARGEST_IPHI, gather("ieta") / LARGEST_IETA], axis=1)
        self.position = torch.from_numpy(position.astype(np.float32)).to(device)
        self.target = torch.from_numpy(gather("mass") / np.float32(MASS_SCALE)).to(device)
        self.cells = torch.tensor(self.meta.cells, device=device)

    def __len__(self) -> int:
        return len(self.target)

    def batch(self, jets: Tensor) -> Batch:
        """The jets at these indices (B,), with dense float32 images."""
        first = self.offset[jets]
        length = self.offset[jets + 1] - first
        total = int(length.sum())
        row = torch.repeat_interleave(torch.arange(len(jets), device=jets.device), length, output_size=total)
        before = torch.cumsum(length, 0) - length
        values = torch.arange(total, device=jets.device) + (first - before)[row]
        layer = self.layer[values].long()
        pixel, value = self.pixel[values].long(), self.value[values].float()
        image = scatter(row, layer, pixel, value, len(jets), self.cells, self.meta.side)
        return Batch(image, self.position[jets], self.target[jets])

    def in_order(self, size: int) -> Iterator[Batch]:
        """All jets once, in batches of at most `size`."""
        for jets in torch.arange(len(self), device=self.target.device).split(size):
            yield self.batch(jets)

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """All jets once, in an order that depends on the seed and the epoch alone; the last batch may be smaller."""
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        for jets in torch.randperm(len(self), generator=generator).split(size):
            yield self.batch(jets.to(self.target.device))


def scatter(row: Tensor, layer: Tensor, pixel: Tensor, value: Tensor, jets: int, cells: Tensor, side: int) -> Tensor:
    """Images (jets, layers, side, side) with these values, channels last; cells of coarser layers are spread out.

    `cells` (C,) is the side of each layer's cells in pixels. No two values fall on one pixel of a layer, so that the
    result does not depend on the order in which they are written.
    """
    image = value.new_zeros(jets, side, side, len(cells))
    cell = cells[layer]
    row_in_image, column = pixel // (side // cell) * cell, pixel % (side // cell) * cell
    corner = ((row * side + row_in_image) * side + column) * len(cells) + layer
    for size in sorted(set(cells.tolist())):
        steps = torch.arange(size, device=value.device)
        inside = ((steps[:, None] * side + steps) * len(cells)).flatten()
        chosen = torch.nonzero(cell == size).squeeze(1)
        image.view(-1)[corner[chosen, None] + inside] = value[chosen, None]
    return image.permute(0, 3, 1, 2)
