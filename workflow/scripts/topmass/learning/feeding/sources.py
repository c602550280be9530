"""Where the jets of a split are kept, and the order in which an epoch takes them.

`InMemory`: all jets as one set of tensors, on the GPU or in main memory. One permutation over all jets each epoch,
which depends on the seed and the epoch alone: not on the device, the batch or the number of processes.

`OnDisk`: windows of whole shards, two of them in memory: one in use, and the next, which a thread reads meanwhile. An
epoch takes the shards in random order, fills a window with the next of them, and mixes all jets of the window. That
is less of a mixture than one permutation: jets of one shard stay within a window's length of each other. Shards are
themselves samples of the whole, so it matters only where they are made of different things.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from topmass.learning.feeding.augmentation import draw_flips
from topmass.learning.feeding.batches import SparseJets
from topmass.learning.feeding.shard_files import ShardFiles
from topmass.preprocessing.shards import ShardMeta


def random_number(*key: int) -> int:
    """A seed that depends on all of the key."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


class Segment:
    """Jets of one set in an order: `order` (n,) on the host, their indices, and `flips` (n,) or None.

    Sums over the first so many jets are known on the host, so that no batch has to ask a GPU how large it is.
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

    def rest(self, first: int) -> "Segment":
        """A copy of what follows the first so many jets, which holds nothing of the others."""
        jets = self.jets.take(self.index[first:])
        return Segment(jets, torch.arange(len(jets)), None if self.flips is None else self.flips[first:].clone())


@dataclass(frozen=True)
class InMemory:
    """All jets of a split on one device."""

    jets: SparseJets
    flips: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.jets)

    @property
    def meta(self) -> ShardMeta:
        """What the shards have in common."""
        return self.jets.meta

    @property
    def device(self) -> torch.device:
        """Where batches are gathered."""
        return self.jets.device

    @property
    def order(self) -> str:
        """What decides about the order beside seed and epoch."""
        return "all jets"

    def shuffled(self, seed: int, epoch: int, skip: int = 0) -> Iterator[Segment]:
        """An epoch's jets in their order, without the first `skip`."""
        number = seed * 1_000_003 + epoch
        # Torch takes 64 bits.
        generator = torch.Generator().manual_seed(number if number < 2**64 else random_number(seed, epoch))
        order = torch.randperm(len(self), generator=generator)
        flips = draw_flips(len(self), self.flips, generator)
        yield Segment(self.jets, order[skip:], None if flips is None else flips[skip:])

    def in_order(self) -> Iterator[Segment]:
        """All jets in the order of the shards."""
        yield Segment(self.jets, torch.arange(len(self)))


@dataclass(frozen=True)
class OnDisk:
    """The jets of a split in their shards, of which windows of at most `window` bytes are read."""

    files: ShardFiles
    window: float
    flips: Sequence[str] = ()

    def __len__(self) -> int:
        return int(self.files.jets.sum())

    @property
    def meta(self) -> ShardMeta:
        """What the shards have in common."""
        return self.files.meta

    @property
    def device(self) -> torch.device:
        """Where batches are gathered."""
        return torch.device("cpu")

    @property
    def order(self) -> str:
        """What decides about the order beside seed and epoch."""
        return f"windows of {self.window:.0f} bytes"

    def windows(self, shards: np.ndarray) -> list[np.ndarray]:
        """These shards, cut into as many as fit into a window each."""
        windows: list[list[int]] = [[]]
        for shard in shards:
            if windows[-1] and self.files.bytes[[*windows[-1], shard]].sum() > self.window:
                windows.append([])
            windows[-1].append(shard)
        return [np.array(window) for window in windows]

    def shuffled(self, seed: int, epoch: int, skip: int = 0) -> Iterator[Segment]:
        """An epoch's jets in their order, without the first `skip`; windows of nothing else are not read."""
        shards = np.random.default_rng((seed, epoch)).permutation(len(self.files.paths))
        windows = self.windows(shards)
        first = np.concatenate([[0], np.cumsum([self.files.jets[window].sum() for window in windows])])
        passed = int(np.searchsorted(first, skip, side="right")) - 1
        for number, jets in enumerate(self.read(windows[passed:]), passed):
            generator = torch.Generator().manual_seed(random_number(seed, epoch, number))
            start = max(0, skip - int(first[number]))
            order = torch.randperm(len(jets), generator=generator)
            flips = draw_flips(len(jets), self.flips, generator)
            yield Segment(jets, order[start:], None if flips is None else flips[start:])
            del jets

    def in_order(self) -> Iterator[Segment]:
        """All jets in the order of the shards."""
        for jets in self.read(self.windows(np.arange(len(self.files.paths)))):
            yield Segment(jets, torch.arange(len(jets)))
            del jets

    def read(self, windows: Sequence[np.ndarray]) -> Iterator[SparseJets]:
        """The windows one by one; the next is read while one is used."""
        host = torch.device("cpu")
        with ThreadPoolExecutor(1, "window") as thread:
            following = thread.submit(self.files.read, windows[0], host) if windows else None
            for number in range(len(windows)):
                jets = following.result()
                later = windows[number + 1 : number + 2]
                following = thread.submit(self.files.read, later[0], host) if later else None
                yield jets
                del jets


Source = InMemory | OnDisk
