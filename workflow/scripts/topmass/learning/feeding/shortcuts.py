"""Jets with something taken from them that a network may or may not need: what it then loses says what it looks at."""

import numpy as np
import torch

from topmass.learning.feeding.augmentation import mirror
from topmass.learning.feeding.batches import LARGEST_IETA, SparseJets
from topmass.preprocessing.shards import SPARSE, Shard

CPU = torch.device("cpu")


def mirrored(shard: Shard, flips: int) -> Shard:
    """The jets, all mirrored as the bits of `flips` say: `augmentation.ETA`, `augmentation.PHI`, or both."""
    jets = torch.arange(len(shard))
    batch = SparseJets.of(shard, CPU).gather(jets, int(shard.offset[-1]))
    found = mirror(batch, torch.full_like(jets, flips, dtype=torch.uint8), shard.meta)
    arrays = {name: getattr(found, name).numpy().astype(dtype) for name, dtype in SPARSE.items()}
    if shard.meta.position:
        arrays["ieta"] = np.rint(found.position[:, 1].numpy() * LARGEST_IETA).astype("f4")
    return Shard(shard.offset, shard.arrays | arrays, shard.meta)


def shuffled(shard: Shard, rng: np.random.Generator) -> Shard:
    """The jets with each value in a random cell of its layer, no two in one: positions tell nothing any more."""
    layer = shard.arrays["layer"]
    cells = np.array([(shard.meta.side // cell) ** 2 for cell in shard.meta.cells])[layer]
    image = jet_of(shard) * len(shard.meta.layers) + layer
    pixel = rng.integers(cells)
    while len(again := repeated(image * shard.meta.side**2 + pixel)):
        pixel[again] = rng.integers(cells[again])
    return Shard(shard.offset, shard.arrays | {"pixel": pixel.astype(SPARSE["pixel"])}, shard.meta)


def repeated(places: np.ndarray) -> np.ndarray:
    """Indices of the places (V,) that are equal to one before them."""
    order = np.argsort(places, kind="stable")
    return order[1:][np.diff(places[order]) == 0]


def without(shard: Shard, layer: str) -> Shard:
    """The jets with nothing in this layer."""
    kept = shard.arrays["layer"] != shard.meta.layers.index(layer)
    lengths = np.bincount(jet_of(shard)[kept], minlength=len(shard))
    arrays = {name: shard.arrays[name][kept] for name in SPARSE}
    return Shard(np.concatenate([[0], np.cumsum(lengths)]), shard.arrays | arrays, shard.meta)


def jet_of(shard: Shard) -> np.ndarray:
    """The jet (V,) of each value."""
    return np.repeat(np.arange(len(shard)), np.diff(shard.offset))
