"""Reproducible random draws per event, and the train/validation/test split."""

import hashlib
from collections.abc import Mapping

import numpy as np

SPLITS = ("train", "validation", "test")


def hash_uniform(sample: str, purpose: str, event: np.ndarray) -> np.ndarray:
    """Return a uniform number in [0, 1) per event (N,) that depends only on the arguments, not on files or order.

    A hash of sample and purpose is added to the event number; the sum is mixed twice.
    """
    salt = int.from_bytes(hashlib.blake2b(f"{sample}\n{purpose}".encode(), digest_size=8).digest(), "little")
    bits = event.astype(np.uint64)
    for step in (np.uint64(salt), np.uint64(0x9E3779B97F4A7C15)):
        bits = mixed(bits + step)
    return (bits >> np.uint64(11)) * 2.0**-53


def mixed(bits: np.ndarray) -> np.ndarray:
    """Apply the bijective finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) to 64-bit integers (N,)."""
    bits = bits ^ (bits >> np.uint64(30))
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


def assign_split(sample: str, event: np.ndarray, fractions: Mapping[str, float]) -> np.ndarray:
    """Return an index into SPLITS for each event (N,); the fractions of the splits add up to 1."""
    upper = np.cumsum([fractions[name] for name in SPLITS])[:-1]
    return np.searchsorted(upper, hash_uniform(sample, "split", event), side="right")
