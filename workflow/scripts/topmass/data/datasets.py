"""Datasets in memory and on disk, and the order of the jets in an epoch.

`InMemoryDataset`: all jets as one set of tensors, on the GPU or in main memory. Each epoch has one permutation of all
jets. It depends on the seed and the epoch alone, not on the device, the batch size or the number of processes.

`ShardedDataset`: windows of complete shards (shuffle buffers). Two windows are in memory: the current one, and the next
one, which a thread reads. An epoch permutes the shards, fills each window with the next shards, and shuffles the jets
within the window. The jets of a shard thus stay within one window, which matters only if shards contain different
physics processes.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from topmass.data.augmentation import sample_flips
from topmass.data.batches import SparseJets
from topmass.data.shard_files import ShardFiles
from topmass.preprocessing.shards import ShardMeta

Item = TypeVar("Item")


def derive_seed(*key: int) -> int:
    """Derive a seed that depends on all parts of the key."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


class ShuffledView:
    """Jets of one set in a given order.

    Cumulative sums of hits (`values`) and weights (`weights`), (n + 1,) each, are on the host. The size of a batch is
    thus computed without synchronisation with the GPU.

    Args:
        jets: The jets.
        order: Indices of the jets (n,), on the host.
        flips: Flips (n,) in this order, or None.
    """

    def __init__(self, jets: SparseJets, order: Tensor, flips: Tensor | None = None) -> None:
        self.jets, self.index = jets, order.numpy()
        self.order = order.to(jets.device)
        self.flips = flips
        lengths = np.diff(jets.first)[self.index]
        self.values = np.concatenate([[0], np.cumsum(lengths)])
        self.weights = np.concatenate([[0.0], np.cumsum(jets.weights[self.index], dtype=np.float64)])

    def __len__(self) -> int:
        return len(self.order)

    def rest(self, first: int) -> "ShuffledView":
        """Return a copy of the jets from index `first` on, which does not reference the others."""
        jets = self.jets.take(self.index[first:])
        return ShuffledView(jets, torch.arange(len(jets)), None if self.flips is None else self.flips[first:].clone())


def shuffle(jets: SparseJets, flips: Sequence[str], generator: torch.Generator, skip: int) -> ShuffledView:
    """Return jets in random order, with random flips in these directions, without the first `skip`."""
    order = torch.randperm(len(jets), generator=generator)
    sampled = sample_flips(len(jets), flips, generator)
    return ShuffledView(jets, order[skip:], None if sampled is None else sampled[skip:])


@dataclass(frozen=True)
class InMemoryDataset:
    """All jets of a split on one device.

    Attributes:
        jets: The jets.
        flips: Directions of random reflections, "eta" and "phi".
    """

    jets: SparseJets
    flips: Sequence[str] = ()
    order: ClassVar[str] = "all jets"
    """Description of what determines the order, in addition to seed and epoch."""

    def __len__(self) -> int:
        return len(self.jets)

    @property
    def meta(self) -> ShardMeta:
        """Metadata of the shards."""
        return self.jets.meta

    @property
    def device(self) -> torch.device:
        """Device on which batches are gathered."""
        return self.jets.device

    def shuffled(self, seed: int, epoch: int, skip: int = 0) -> Iterator[ShuffledView]:
        """Yield the jets of an epoch in random order, without the first `skip`."""
        number = seed * 1_000_003 + epoch
        # Torch seeds have at most 64 bits.
        generator = torch.Generator().manual_seed(number if number < 2**64 else derive_seed(seed, epoch))
        yield shuffle(self.jets, self.flips, generator, skip)

    def in_order(self) -> Iterator[ShuffledView]:
        """Yield all jets in the order of the shards."""
        yield ShuffledView(self.jets, torch.arange(len(self)))


@dataclass(frozen=True)
class ShardedDataset:
    """Jets of a split on disk, read in windows.

    Attributes:
        files: Shards of the split.
        window: Maximum size of a window, bytes.
        flips: Directions of random reflections, "eta" and "phi".
    """

    files: ShardFiles
    window: float
    flips: Sequence[str] = ()
    device: ClassVar[torch.device] = torch.device("cpu")
    """Device on which batches are gathered."""

    def __len__(self) -> int:
        return int(self.files.jets.sum())

    @property
    def meta(self) -> ShardMeta:
        """Metadata of the shards."""
        return self.files.meta

    @property
    def order(self) -> str:
        """Description of what determines the order, in addition to seed and epoch."""
        return f"windows of {self.window:.0f} bytes"

    def windows(self, shards: np.ndarray) -> list[np.ndarray]:
        """Divide shards, given by index, into windows."""
        windows: list[list[int]] = [[]]
        for shard in shards:
            if windows[-1] and self.files.bytes[[*windows[-1], shard]].sum() > self.window:
                windows.append([])
            windows[-1].append(shard)
        return [np.array(window) for window in windows]

    def shuffled(self, seed: int, epoch: int, skip: int = 0) -> Iterator[ShuffledView]:
        """Yield the jets of an epoch in random order, without the first `skip`; skipped windows are not read."""
        shards = np.random.default_rng((seed, epoch)).permutation(len(self.files.paths))
        windows = self.windows(shards)
        first = np.concatenate([[0], np.cumsum([self.files.jets[window].sum() for window in windows])])
        passed = int(np.searchsorted(first, skip, side="right")) - 1
        for index, jets in enumerate(self.read(windows[passed:]), passed):
            generator = torch.Generator().manual_seed(derive_seed(seed, epoch, index))
            yield shuffle(jets, self.flips, generator, max(0, skip - int(first[index])))
            del jets

    def in_order(self) -> Iterator[ShuffledView]:
        """Yield all jets in the order of the shards."""
        for jets in self.read(self.windows(np.arange(len(self.files.paths)))):
            yield ShuffledView(jets, torch.arange(len(jets)))
            del jets

    def read(self, windows: Sequence[np.ndarray]) -> Iterator[SparseJets]:
        """Yield the jets of each window; a thread reads the next window in the meantime."""
        return read_ahead((self.files.read(window, self.device) for window in windows), 1)


def read_ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """Yield the same items; a thread computes the next `count` of them in the meantime."""
    with ThreadPoolExecutor(1, "read_ahead") as thread:
        pending = deque(thread.submit(next, items, None) for _ in range(count))
        try:
            while (item := pending.popleft().result()) is not None:
                pending.append(thread.submit(next, items, None))
                yield item
                del item
        finally:
            thread.shutdown(cancel_futures=True)


Dataset = InMemoryDataset | ShardedDataset
