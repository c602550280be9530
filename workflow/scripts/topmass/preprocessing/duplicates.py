"""Detection of duplicate jets by content."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.files import BadInput
from topmass.jets import EVENTS_PER_BLOCK, JetBatch, JetTable
from topmass.layers import LAYERS, SIDE, Layer, find_layer
from topmass.preprocessing.split import mixed

SALT = np.uint64(0x9E3779B97F4A7C15)
"""Distinguishes mass and pT from a hit with the same bits."""
HASH_CHUNK = 1 << 16
"""Hits per chunk: half a megabyte per array, which fits in the processor cache."""


def hash_contents(batch: JetBatch, layers: Sequence[Layer]) -> np.ndarray:
    """Return a 64-bit hash (N,) per jet that only jets with the same hits, mass and pT share.

    The hash ignores event numbers, the order of hits, zero values and all other columns, which a copy may lack. A layer
    in coarse cells has the same hash as the same layer pixel by pixel. `layers` are those of the table, in its order.
    """
    sums = np.zeros(len(batch.value) + 1, np.uint64)
    for start in range(0, len(batch.value), HASH_CHUNK):
        hits = slice(start, start + HASH_CHUNK)
        sums[1:][hits] = hash_hits(batch.pixel[hits], batch.layer[hits], batch.value[hits], layers)
    # Sums are modulo 2**64 and independent of the order of the hits.
    np.cumsum(sums, out=sums)
    numbers = batch.mass.view(np.uint32).astype(np.uint64) << np.uint64(32) | batch.pt.view(np.uint32)
    return sums[batch.offset[1:]] - sums[batch.offset[:-1]] + mixed(numbers ^ SALT)


def hash_hits(pixel: np.ndarray, layer: np.ndarray, value: np.ndarray, layers: Sequence[Layer]) -> np.ndarray:
    """Return a 64-bit hash (M,) per hit; a coarse hit has the sum of the hashes of its pixels."""
    own_layers = [find_layer(layer.name) for layer in layers]
    position = pixel.astype(np.uint64)
    for i, cell in enumerate(own.cell for own in own_layers):
        if layers[i].cell < cell:
            fine = np.flatnonzero(layer == i)
            row, column = np.divmod(pixel[fine].astype(np.int64), SIDE)
            position[fine] = row // cell * (SIDE // cell) + column // cell
    position <<= np.uint64(32)
    position |= (np.array([LAYERS.index(own) for own in own_layers], np.uint64) << np.uint64(48))[layer]
    position |= value.view(np.uint32)
    bits = mixed(position)
    for i, cell in enumerate(own.cell for own in layers):
        if cell > 1:
            bits[layer == i] *= np.uint64(cell**2)
    bits[value == 0] = 0
    return bits


def check_duplicates(tables: Sequence[Path], contents: Sequence[np.ndarray]) -> None:
    """Raise BadInput with both locations if a sample contains a jet twice; needs 16 bytes of memory per jet.

    Args:
        tables: All jet tables of the sample.
        contents: Output of `hash_contents` for the jets of each table.
    """
    ordered = np.concatenate(contents)
    ordered.sort()
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return
    key = next(hashes[mask][0] for hashes in contents if (mask := np.isin(hashes, repeated)).any())
    pairs = zip(tables, contents, strict=True)
    first, again, *_ = ((path, int(row)) for path, hashes in pairs for row in np.flatnonzero(hashes == key))
    raise BadInput(duplicate_message(again, first, len(repeated)))


def duplicate_message(again: tuple[Path, int], first: tuple[Path, int], repeats: int) -> str:
    """Return a message with the table and row of a repeated jet and of its first copy."""
    (table, row), (earlier_table, earlier_row) = again, first
    location = f"row {earlier_row}" + (f" of {earlier_table}" if table != earlier_table else "")
    origins = [origin_of(*again), origin_of(*first)]
    fix = f"remove {origins[0]}, or {origins[1]}" if all(origins) else "remove one of them"
    others = ", and the other repeats" if repeats > 1 else ""
    return (
        f"{table}: row {row}: the same jet as {location}; a sample must have each jet once, and has {repeats:,} "
        f"repeats; to fix: {fix}{others}"
    )


def origin_of(path: Path, row: int) -> str:
    """Return the location of a jet in the original file, "" if the table does not record it."""
    table = JetTable(path)
    if not {"file", "columns"} <= table.source.keys():
        return ""
    event = int(np.concatenate([rows["event"] for rows in table.columns(["event"])])[row])
    # Without event numbers in the file, the event number is the row number, even if earlier jets were dropped.
    location = f"event {event}" if "event" in table.source["columns"] else f"row {event % EVENTS_PER_BLOCK}"
    return f"{location} of {table.source['file']}"
