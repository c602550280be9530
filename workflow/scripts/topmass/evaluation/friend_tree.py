"""Predictions as a ROOT tree that can be a friend of the user's tree."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import awkward as ak
import numpy as np
import pyarrow as pa
import uproot

from topmass.files import BadInput, atomic_write

TREE = "topmass"
MASSES = {"predicted": "topmass", "low": "topmass_low", "high": "topmass_high", "calibrated": "topmass_calibrated"}
"""Branches of the columns of the predictions."""
WRITTEN = 100_000
"""Entries written at a time."""


class FriendFile(NamedTuple):
    """Predictions for the jets of one file.

    Attributes:
        identifiers: Numbers (entries,) that identify each entry of the user's tree, such as `event`.
        counts: Number of jets (entries,) per entry; None if an entry is one jet.
        predictions: Table of the predictions, one row per jet.
    """

    identifiers: Mapping[str, np.ndarray]
    counts: np.ndarray | None
    predictions: pa.Table


def write_friend_tree(out: Path, files: Iterable[FriendFile]) -> int:
    """Write the predictions of all files as one tree, with the entries of the user's files, and return their number.

    The branches are the identifiers, `jet_index` and those of `MASSES`. If an entry is an event, all but the
    identifiers are lists with one value per jet. The index of a jet is its index in the event, or its row in the file.
    """
    entries, tree = 0, None
    with atomic_write(out, ".root") as part, uproot.recreate(part) as root:
        for file in files:
            branches = branches_of(file)
            if tree is None:
                types = {name: column_type(values) for name, values in branches.items()}
                # The branches of the jets share one counter, and have no prefix.
                names = {"counter_name": lambda jets: f"n{jets}", "field_name": lambda jets, name: name}
                tree = root.mktree(TREE, types, "Predictions of topmass", **names)
            number = len(branches["event"])
            for start in range(0, number, WRITTEN):
                tree.extend({name: values[start : start + WRITTEN] for name, values in branches.items()})
            entries += number
    return entries


def branches_of(file: FriendFile) -> dict[str, np.ndarray | ak.Array]:
    """Return the branches of one file by name; the branch `jet` is a record of those with one value per jet."""
    table = file.predictions
    masses = {MASSES[name]: table[name].to_numpy() for name in MASSES if name in table.column_names}
    if file.counts is None:
        return {**file.identifiers, "jet_index": np.arange(len(table), dtype=np.int32), **masses}
    first = np.cumsum(file.counts) - file.counts
    index = np.arange(len(table), dtype=np.int32) - np.repeat(first, file.counts).astype(np.int32)
    jets = ak.zip({name: ak.unflatten(values, file.counts) for name, values in ({"jet_index": index} | masses).items()})
    return {**file.identifiers, "jet": jets}


def column_type(values: np.ndarray | ak.Array) -> np.dtype | str:
    """Return the type of a branch in the form of `uproot.WritableDirectory.mktree`."""
    return values.dtype if isinstance(values, np.ndarray) else f"var * {ak.type(values).content.content}"


def check_friend_tree(out: Path) -> None:
    """Check that an existing ROOT file contains predictions, so that no file of the user is overwritten.

    Raises:
        BadInput: It is another file.
    """
    try:
        with uproot.ReadOnlyFile(str(out)) as file:
            tree = file.root_directory.get(TREE)
            has_predictions = tree is not None and MASSES["predicted"] in tree
    except Exception:
        has_predictions = False
    if not has_predictions:
        raise BadInput(f"{out}: this file exists and contains no predictions, so it is not overwritten")
