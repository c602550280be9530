"""Batches cut from an epoch's jets, the same for any number of processes and any place that the jets are kept in."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from topmass.learning.feeding.augmentation import mirror
from topmass.learning.feeding.batches import SparseBatch, join
from topmass.learning.feeding.sources import Segment
from topmass.learning.team import Team
from topmass.preprocessing.shards import ShardMeta

AHEAD = 3
"""Batches that lie ready in pinned memory for a GPU; 2 MB each for 1024 jets."""


class Cut(NamedTuple):
    """This process's share of a batch, and of the whole batch the sum of weights, the jets, and their events."""

    sparse: SparseBatch
    flips: torch.Tensor | None
    weight: float
    jets: int
    event: np.ndarray

    def on(self, device: torch.device, meta: ShardMeta) -> SparseBatch:
        """As a network takes it: on this device, mirrored where that was drawn."""
        batch = self.sparse.to(device)
        return batch if self.flips is None else mirror(batch, self.flips.to(device, non_blocking=True), meta)


def cut(segments: Iterable[Segment], size: int, team: Team) -> Iterator[Cut]:
    """Batches of `size` jets from segments that follow each other; the last may be smaller."""
    pieces: list[tuple[Segment, int, int]] = []
    missing = size
    for segment in segments:
        at = 0
        while at < len(segment):
            last = min(len(segment), at + missing)
            pieces.append((segment, at, last))
            missing -= last - at
            at = last
            if not missing:
                yield assemble(pieces, team)
                pieces, missing = [], size
        # What is left over waits for the next segment without keeping this one in memory.
        pieces = [(kept := piece.rest(first), 0, len(kept)) for piece, first, _ in pieces]
        del segment
    if pieces:
        yield assemble(pieces, team)


def assemble(pieces: list[tuple[Segment, int, int]], team: Team) -> Cut:
    """This process's share of the batch that is made of these pieces, from index to index of each segment's order."""
    jets = sum(last - first for _, first, last in pieces)
    share = team.share(jets)
    sparse, flips, before = [], [], 0
    for segment, first, last in pieces:
        # The part of the piece that lies in the share.
        start, stop = (min(max(first, first + edge - before), last) for edge in (share.start, share.stop))
        values = int(segment.values[stop] - segment.values[start])
        sparse.append(segment.jets.gather(segment.order[start:stop], values))
        flips.append(segment.flips[start:stop] if segment.flips is not None else None)
        before += last - first
    weight = sum(float(segment.weights[last] - segment.weights[first]) for segment, first, last in pieces)
    event = np.concatenate([segment.jets.event[segment.index[first:last]] for segment, first, last in pieces])
    return Cut(join(sparse), None if flips[0] is None else torch.cat(flips), weight, jets, event)


def ahead(cuts: Iterator[Cut], device: torch.device) -> Iterator[Cut]:
    """The same batches, gathered by a thread ahead of their use and put into pinned memory if they are for a GPU.

    The copies to the GPU are queued behind its running work without waiting for it. They take their turn with the
    kernels: 2 MB a batch is a tenth of a millisecond, under a hundredth of the step that it feeds.
    """
    ready: queue.Queue = queue.Queue(AHEAD)
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


def batches(
    segments: Iterable[Segment], size: int, team: Team, device: torch.device, jets_on: torch.device
) -> Iterator[Cut]:
    """Batches for this device from jets that are on `jets_on`, gathered ahead if that is another."""
    cuts = cut(segments, size, team)
    return ahead(cuts, device) if device.type != jets_on.type else cuts
