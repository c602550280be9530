"""Perturbations of jets that remove information, to measure which information a network uses."""

import numpy as np
import torch

from topmass.data.augmentation import apply_flips
from topmass.data.batches import LARGEST_IETA, SparseJets
from topmass.preprocessing.shards import SHARD_HIT_ARRAYS, Shard

PERTURBATION_DEVICE = torch.device("cpu")


def flip_jets(shard: Shard, flips: int) -> Shard:
    """Reflect all jets; `flips` is `ETA`, `PHI`, or the sum of both."""
    jets = torch.arange(len(shard))
    batch = SparseJets.of(shard, PERTURBATION_DEVICE).gather(jets, int(shard.offset[-1]))
    flipped = apply_flips(batch, torch.full_like(jets, flips, dtype=torch.uint8), shard.meta)
    arrays = {name: getattr(flipped, name).numpy().astype(dtype) for name, dtype in SHARD_HIT_ARRAYS.items()}
    if shard.meta.position:
        arrays["ieta"] = np.rint(flipped.position[:, 1].numpy() * LARGEST_IETA).astype("f4")
    return Shard(shard.offset, shard.arrays | arrays, shard.meta)


def shuffle_pixels(shard: Shard, rng: np.random.Generator) -> Shard:
    """Move each hit to a random cell of its layer, at most one per cell: positions have no information any more."""
    layer = shard.arrays["layer"]
    cells = np.array([(shard.meta.side // cell) ** 2 for cell in shard.meta.cells])[layer]
    image = jet_index_of_values(shard) * len(shard.meta.layers) + layer
    pixel = rng.integers(cells)
    while len(again := repeated_pixels(image * shard.meta.side**2 + pixel)):
        pixel[again] = rng.integers(cells[again])
    return Shard(shard.offset, shard.arrays | {"pixel": pixel.astype(SHARD_HIT_ARRAYS["pixel"])}, shard.meta)


def repeated_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return the indices of values in `pixels` (V,) that repeat an earlier value."""
    order = np.argsort(pixels, kind="stable")
    return order[1:][np.diff(pixels[order]) == 0]


def drop_layer(shard: Shard, layer: str) -> Shard:
    """Remove all hits of a layer."""
    mask = shard.arrays["layer"] != shard.meta.layers.index(layer)
    lengths = np.bincount(jet_index_of_values(shard)[mask], minlength=len(shard))
    arrays = {name: shard.arrays[name][mask] for name in SHARD_HIT_ARRAYS}
    return Shard(np.concatenate([[0], np.cumsum(lengths)]), shard.arrays | arrays, shard.meta)


def jet_index_of_values(shard: Shard) -> np.ndarray:
    """Return the index of the jet (V,) of each hit."""
    return np.repeat(np.arange(len(shard)), np.diff(shard.offset))
