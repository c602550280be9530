"""Mini-batches of an epoch, independent of the number of processes and the placement."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from topmass.data.augmentation import apply_flips
from topmass.data.batches import SparseBatch, concat_batches
from topmass.data.datasets import ShuffledView
from topmass.preprocessing.shards import ShardMeta
from topmass.process_group import ProcessGroup

PREFETCH = 3
"""Maximum number of prefetched batches in pinned memory for a GPU; 2 MB each for 1024 jets."""


class Minibatch(NamedTuple):
    """This rank's part of a global batch.

    Attributes:
        sparse: Jets of this rank.
        flips: Flips of these jets (see `sample_flips`), or None.
        weight: Sum of weights of the global batch.
        jets: Number of jets of the global batch.
        event: Event numbers of the global batch.
    """

    sparse: SparseBatch
    flips: torch.Tensor | None
    weight: float
    jets: int
    event: np.ndarray

    def on(self, device: torch.device, meta: ShardMeta) -> SparseBatch:
        """Return the jets of this rank on a device, with the flips applied."""
        batch = self.sparse.to(device)
        return batch if self.flips is None else apply_flips(batch, self.flips.to(device, non_blocking=True), meta)


def iter_batches(segments: Iterable[ShuffledView], size: int, team: ProcessGroup) -> Iterator[Minibatch]:
    """Yield this rank's part of consecutive mini-batches.

    Args:
        segments: Shuffled views; a batch may extend over several.
        size: Jets per global batch; the last batch may be smaller.
        team: Process group; each rank receives a contiguous slice of a batch.
    """
    pieces: list[tuple[ShuffledView, int, int]] = []
    missing = size
    for segment in segments:
        at = 0
        while at < len(segment):
            last = min(len(segment), at + missing)
            pieces.append((segment, at, last))
            missing -= last - at
            at = last
            if not missing:
                yield collate(pieces, team)
                pieces, missing = [], size
        # The remainder is copied, so that the segment can be freed.
        pieces = [(kept := piece.rest(first), 0, len(kept)) for piece, first, _ in pieces]
        del segment
    if pieces:
        yield collate(pieces, team)


def collate(pieces: list[tuple[ShuffledView, int, int]], team: ProcessGroup) -> Minibatch:
    """Collate this rank's part of a batch from pieces: view, and first and last (exclusive) index in its order."""
    jets = sum(last - first for _, first, last in pieces)
    share = team.local_slice(jets)
    sparse, flips, before = [], [], 0
    for segment, first, last in pieces:
        # Intersection of the piece with this rank's slice.
        start, stop = (min(max(first, first + edge - before), last) for edge in (share.start, share.stop))
        values = int(segment.values[stop] - segment.values[start])
        sparse.append(segment.jets.gather(segment.order[start:stop], values))
        flips.append(segment.flips[start:stop] if segment.flips is not None else None)
        before += last - first
    weight = sum(float(segment.weights[last] - segment.weights[first]) for segment, first, last in pieces)
    event = np.concatenate([segment.jets.event[segment.index[first:last]] for segment, first, last in pieces])
    return Minibatch(concat_batches(sparse), None if flips[0] is None else torch.cat(flips), weight, jets, event)


def prefetch(cuts: Iterator[Minibatch], device: torch.device) -> Iterator[Minibatch]:
    """Yield the same batches, prefetched by a thread, in pinned memory if the device is a GPU.

    Copies to the GPU are asynchronous and in the same stream as the kernels. A copy of 2 MB per batch takes 0.1 ms,
    less than 1 % of the training step.
    """
    ready: queue.Queue = queue.Queue(PREFETCH)
    given_up = threading.Event()

    def put(item: object) -> bool:
        while not given_up.is_set():
            try:
                ready.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for each in cuts:
                pinned = each._replace(sparse=each.sparse.pinned()) if device.type == "cuda" else each
                if not put(pinned):
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        given_up.set()
        thread.join()


def load_batches(
    segments: Iterable[ShuffledView], size: int, team: ProcessGroup, device: torch.device, jets_on: torch.device
) -> Iterator[Minibatch]:
    """Return batches as from `iter_batches`, prefetched if the device of the jets, `jets_on`, is of another type."""
    cuts = iter_batches(segments, size, team)
    return prefetch(cuts, device) if device.type != jets_on.type else cuts
