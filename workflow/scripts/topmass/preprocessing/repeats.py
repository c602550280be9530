"""Jets that a sample has twice."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from topmass.files import BadInput
from topmass.jets import JetTable

COLUMNS = ("event", "mass", "pt", "ieta", "iphi")
"""Two jets that agree in all of these are one."""


def key_of(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """64 bits for each jet (N,) that are the same for the same jet, and for hardly any two others."""
    bits = columns["event"].astype(np.uint64)
    momenta = np.stack([columns["mass"], columns["pt"]], axis=1).astype(np.float32).view(np.uint64)[:, 0]
    # What is unknown is the same for all.
    ieta, iphi = (np.nan_to_num(columns[name]).astype(np.int16).astype(np.uint64) for name in ("ieta", "iphi"))
    position = (ieta << np.uint64(32)) + iphi
    for part in (momenta, position):
        # One round of the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = ((bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)) + part
    return bits


def overlapping(ranges: np.ndarray) -> np.ndarray:
    """Which of these ranges (tables, 2), of lowest and highest event, share an event number with another, (tables,)."""
    order = np.argsort(ranges[:, 0], kind="stable")
    low, highest = ranges[order, 0], np.maximum.accumulate(ranges[order, 1])
    with_next = np.append(low[1:] <= highest[:-1], False)
    found = np.zeros(len(ranges), bool)
    found[order] = with_next | np.roll(with_next, 1)
    return found


def repeated(keys: np.ndarray) -> int | None:
    """A key that is there more than once."""
    ordered = np.sort(keys)
    again = np.flatnonzero(ordered[1:] == ordered[:-1])
    return int(ordered[again[0]]) if len(again) else None


def refuse_repeats(tables: Sequence[Path], ranges: np.ndarray) -> None:
    """BadInput if the sample has a jet twice. `ranges` (tables, 2) has the lowest and highest event of each table.

    Only where ranges overlap, the jets of several tables are compared with each other, at eight bytes a jet.
    """
    shared, kept = overlapping(ranges), []
    for table, compare in zip(tables, shared, strict=True):
        keys = keys_of(table)
        if (key := repeated(keys)) is not None:
            raise BadInput(describe([table], key))
        if compare:
            kept.append(keys)
    if kept and (key := repeated(np.concatenate(kept))) is not None:
        raise BadInput(describe([table for table, compare in zip(tables, shared, strict=True) if compare], key))


def keys_of(table: Path) -> np.ndarray:
    """Keys of all jets of a table, (N,)."""
    return np.concatenate([np.zeros(0, np.uint64), *map(key_of, JetTable(table).columns(COLUMNS))])


def describe(tables: Sequence[Path], key: int) -> str:
    """Where the first two jets with this key stand."""
    places = [(table, int(row)) for table in tables for row in np.flatnonzero(keys_of(table) == np.uint64(key))]
    (first, row), (second, again) = places[:2]
    there = f"row {row}" if first == second else f"row {row} of {first}"
    return f"{second}: row {again}: the same jet of the same event as {there}; a sample must have each jet once"
