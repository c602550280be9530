"""Draws that depend on (sample, event) alone, and the split into training, validation and test by them."""

import hashlib
from collections.abc import Mapping

import numpy as np

SPLITS = ("train", "validation", "test")


def uniform(sample: str, purpose: str, event: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each event: the same in any order and however the events are spread over files.

    The event number, moved by a hash of sample and purpose, goes through the finaliser of SplitMix64 (Steele, Lea
    and Flood, OOPSLA 2014), twice.
    """
    salt = int.from_bytes(hashlib.blake2b(f"{sample}\n{purpose}".encode(), digest_size=8).digest(), "little")
    bits = event.astype(np.uint64)
    for step in (np.uint64(salt), np.uint64(0x9E3779B97F4A7C15)):
        bits = bits + step
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits = bits ^ (bits >> np.uint64(31))
    return (bits >> np.uint64(11)) * 2.0**-53


def split_of(sample: str, event: np.ndarray, fractions: Mapping[str, float]) -> np.ndarray:
    """Index into SPLITS for each event; `fractions` by the name of the split, adding up to 1."""
    upper = np.cumsum([fractions[name] for name in SPLITS])[:-1]
    return np.searchsorted(upper, uniform(sample, "split", event), side="right")
