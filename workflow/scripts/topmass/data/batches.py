"""Sparse jets as tensors on a device, and batches of them."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from topmass.preprocessing.shards import MASS_SCALE, SHARD_HIT_ARRAYS, Shard, ShardMeta

LARGEST_IPHI, LARGEST_IETA = 360.0, 170.0
"""Scales of the position, as in the reference."""
BYTES_PER_VALUE = sum(dtype.itemsize for dtype in SHARD_HIT_ARRAYS.values())
BYTES_PER_JET = 8 + 2 * 4 + 4 + 4 + 3 * 8
"""Bytes per jet in `SparseJets`, without hits and features."""
BYTES_PER_FEATURE = 4
FEATURE_BATCH_SIZE = {"cpu": 512, "cuda": 8192}
"""Jets per batch when features are computed.

On a CPU, the inputs of 512 jets, about 10 MB, fit into the cache. On a GPU, such small batches are launch-bound. An
H100 computed the features of `prongs` for 17,000 jets/s with 512, and for 239,000 jets/s with 8,192, which need up to
1 GB.
"""


class SparseBatch(NamedTuple):
    """B sparse jets with V hits, ordered by jet.

    Attributes:
        length: Hits per jet (B,) int64.
        pixel: Index of the cell on the layer's own grid (V,) int16, row by row.
        layer: Index of the layer (V,) uint8.
        value: Normalised value (V,) float16.
        position: iphi / 360 and ieta / 170 (B, 2), or (B, 0) if unknown.
        target: mass / `MASS_SCALE` (B,).
        weight: Weight in loss and metrics (B,).
        features: Cached features of the network (B, K) float32 (see `FeatureSpec`), or (B, 0).
    """

    length: Tensor
    pixel: Tensor
    layer: Tensor
    value: Tensor
    position: Tensor
    target: Tensor
    weight: Tensor
    features: Tensor

    def jet(self) -> Tensor:
        """Return the index of the jet (V,) of each hit."""
        jets = torch.arange(len(self.length), device=self.length.device)
        return torch.repeat_interleave(jets, self.length, output_size=len(self.value))

    def spread(self, image: Tensor, cells: Sequence[int]) -> Tensor:
        """Copy the first pixel of each cell to all pixels of the cell, in place.

        Args:
            image: Images (B, H, W, C).
            cells: Side of a cell of each layer (C), pixels.
        """
        for layer, size in enumerate(cells):
            if size > 1:
                parts = image[..., layer].unflatten(2, (-1, size)).unflatten(1, (-1, size))
                parts.copy_(parts[:, :, :1, :, :1].clone().expand_as(parts))
        return image

    def to(self, device: torch.device) -> "SparseBatch":
        """Return the batch on another device; copies from pinned memory are asynchronous."""
        return SparseBatch(*(tensor.to(device, non_blocking=True) for tensor in self))

    def pinned(self) -> "SparseBatch":
        """Return the batch in pinned memory, from which copies to a GPU are asynchronous."""
        return SparseBatch(*(tensor.pin_memory() for tensor in self))


class HitIndices(NamedTuple):
    """Indices (V,) of hits: jet, layer, and row and column on the layer's own grid."""

    jet: Tensor
    layer: Tensor
    row: Tensor
    column: Tensor


def unravel_pixels(batch: SparseBatch, meta: ShardMeta) -> tuple[HitIndices, Tensor]:
    """Return the indices of the hits, and the side of the cell of each hit (V,), pixels."""
    jet = batch.jet()
    layer, pixel = batch.layer.long(), batch.pixel.long()
    cell = torch.tensor(meta.cells).to(layer.device, non_blocking=True)[layer]
    across = meta.side // cell
    row = torch.div(pixel, across, rounding_mode="floor")
    return HitIndices(jet, layer, row, pixel - row * across), cell


def to_dense_images(batch: SparseBatch, meta: ShardMeta) -> Tensor:
    """Return dense images (B, C, H, W) float32 of a batch, in the memory format channels last.

    In a layer with cells larger than a pixel, a value is written to the first pixel of its cell, then copied to the
    other pixels. No two hits share a pixel of a layer, so the result does not depend on their order. There is no
    synchronisation with the GPU.
    """
    side, layers = meta.side, len(meta.layers)
    jets = batch.length.shape[0]
    image = torch.zeros(jets * side * side * layers, device=batch.value.device)
    hits, cell = unravel_pixels(batch, meta)
    first = (hits.jet * side + hits.row * cell) * side + hits.column * cell
    image[first * layers + hits.layer] = batch.value.float()
    return batch.spread(image.view(jets, side, side, layers), meta.cells).permute(0, 3, 1, 2)


class FeatureSpec(Protocol):
    """Data that a network needs per jet: hits, cached features, or both. See `topmass.models.network.Network`."""

    needs_hits: bool
    num_features: int

    def compute_features(self, batch: SparseBatch) -> Tensor:
        """Compute features (B, `num_features`) float32 from the hits of a batch."""


@dataclass(frozen=True)
class SparseJets:
    """N sparse jets on one device.

    Attributes:
        meta: Metadata of the shards.
        offset: Index of the first hit of each jet (N + 1,); then `pixel`, `layer` and `value` as in `SparseBatch`.
        position: As in `SparseBatch`, like `target`, `weight` and `features`, with N jets.
        first: Copy of `offset` on the host.
        weights: Copy of `weight` (N,) on the host.
        event: Event numbers (N,) on the host.
    """

    meta: ShardMeta
    offset: Tensor
    pixel: Tensor
    layer: Tensor
    value: Tensor
    position: Tensor
    target: Tensor
    weight: Tensor
    features: Tensor
    first: np.ndarray
    weights: np.ndarray
    event: np.ndarray

    def __len__(self) -> int:
        return len(self.target)

    @property
    def device(self) -> torch.device:
        """Device of the jets."""
        return self.target.device

    def gather(self, jets: Tensor, values: int) -> SparseBatch:
        """Gather the jets with these indices (B,), which have `values` hits in total.

        The host computes `values`, to avoid synchronisation with the GPU.
        """
        first = self.offset[jets]
        length = self.offset[jets + 1] - first
        shift = first - (torch.cumsum(length, 0) - length)
        hits = torch.repeat_interleave(shift, length, output_size=values)
        hits += torch.arange(values, device=hits.device)
        per_hit = (tensor[hits] for tensor in (self.pixel, self.layer, self.value))
        per_jet = (tensor[jets] for tensor in (self.position, self.target, self.weight, self.features))
        return SparseBatch(length, *per_hit, *per_jet)

    def take(self, jets: np.ndarray) -> "SparseJets":
        """Return a copy of the jets at these indices."""
        values = int((self.first[jets + 1] - self.first[jets]).sum())
        length, *arrays = self.gather(torch.from_numpy(jets).to(self.device), values)
        first = np.concatenate([[0], np.cumsum(length.cpu().numpy())])
        offset = torch.from_numpy(first).to(self.device)
        return SparseJets(self.meta, offset, *arrays, first, self.weights[jets], self.event[jets])

    def map_batches(self, function: Callable[[SparseBatch], Tensor]) -> Tensor:
        """Apply a function to all jets in batches and concatenate the results (N, …).

        On a CPU, each thread computes other batches, which is faster than several threads for such small tensors.
        """
        size = FEATURE_BATCH_SIZE[self.device.type]

        @torch.no_grad()
        def apply(first: int) -> Tensor:
            last = min(len(self), first + size)
            values = int(self.first[last] - self.first[first])
            return function(self.gather(torch.arange(first, last, device=self.device), values))

        # Run at least one (possibly empty) batch, so that an empty result has the right shape.
        starts = range(0, max(1, len(self)), size)
        if self.device.type == "cuda":
            return torch.cat([*map(apply, starts)])
        threads = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                return torch.cat([*pool.map(apply, starts)])
        finally:
            torch.set_num_threads(threads)

    @classmethod
    def build(
        cls,
        shards: Iterable[Shard],
        meta: ShardMeta,
        jets: int,
        values: int,
        device: torch.device,
        spec: FeatureSpec | None = None,
    ) -> "SparseJets":
        """Load the jets of all shards, one by one, into one set of tensors.

        Args:
            shards: Shards.
            meta: Metadata of the shards.
            jets: Total number of jets.
            values: Total number of hits that are stored; 0 if `spec` needs no hits.
            device: Device of the tensors.
            spec: Data to store. Default: all hits and no features.
        """
        host = {"first": np.zeros(jets + 1, np.int64), "weights": np.ones(jets, "f4"), "event": np.zeros(jets, "i8")}
        tensors = {
            "pixel": torch.empty(values, dtype=torch.int16, device=device),
            "layer": torch.empty(values, dtype=torch.uint8, device=device),
            "value": torch.empty(values, dtype=torch.float16, device=device),
            "position": torch.empty(jets, meta.coordinates, device=device),
            "target": torch.empty(jets, device=device),
            "features": torch.empty(jets, spec.num_features if spec else 0, device=device),
        }
        first_jet = first_hit = 0
        for shard in shards:
            rows = slice(first_jet, first_jet + len(shard))
            if spec and spec.num_features:
                tensors["features"][rows] = cls.of(shard, device).map_batches(spec.compute_features)
            if spec and not spec.needs_hits:
                shard = shard.without_values()
            hits = slice(first_hit, first_hit + int(shard.offset[-1]))
            host["first"][rows.start + 1 : rows.stop + 1] = shard.offset[1:] + first_hit
            host["weights"][rows] = shard.arrays["weight"]
            host["event"][rows] = shard.arrays["event"]
            # Torch supports few operations for uint16; all pixel indices are below 2^15.
            for name, dtype in (("pixel", "i2"), ("layer", "u1"), ("value", "f2")):
                tensors[name][hits] = torch.from_numpy(shard.arrays[name].astype(dtype, copy=False))
            position = np.stack([shard.arrays["iphi"] / LARGEST_IPHI, shard.arrays["ieta"] / LARGEST_IETA], axis=1)
            tensors["position"][rows] = torch.from_numpy(position[:, : meta.coordinates].astype("f4"))
            tensors["target"][rows] = torch.from_numpy(shard.arrays["mass"] / np.float32(MASS_SCALE))
            first_jet, first_hit = rows.stop, hits.stop
        offset, weight = (torch.from_numpy(host[name]).to(device) for name in ("first", "weights"))
        return cls(meta, offset, weight=weight, **tensors, **host)

    @classmethod
    def of(cls, shard: Shard, device: torch.device) -> "SparseJets":
        """Load the jets of one shard."""
        return cls.build([shard], shard.meta, len(shard), int(shard.offset[-1]), device)
