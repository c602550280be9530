"""Which columns of somebody's parquet file hold what a jet table needs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.files import BadInput
from topmass.jets import POSITION, QUARKS

IMAGE = ("image",)
SPARSE = ("pixel", "layer", "value")
NEEDED = ("pt", *POSITION)
WELCOME = ("mass", "event", "eta", "phi", "jet_mass", "softdrop_mass", "top_pt", *QUARKS)
"""Taken where they are there; null in the jet table, or numbered by row, where not."""
OTHER_NAMES = {"image": ("X_jet", "X_jets"), "mass": ("m", "genM", "am")}
"""Names of the known vintages of the CMS files, beside our own."""


def find_columns(
    path: Path,
    names: Sequence[str],
    given: Mapping[str, str],
    needed: Sequence[str] = NEEDED,
    welcome: Sequence[str] = WELCOME,
) -> dict[str, str]:
    """The file's column for each of ours: the one that is given, else the only one of a known name.

    Jets come as dense images (IMAGE) or as lists of their non-zero values (SPARSE). BadInput if one of these or a
    column that is `needed` is missing, or if several could be meant.
    """
    if given.keys() & set(POSITION) - {*needed, *welcome}:
        raise BadInput(f"{path}: 'position' is none, and 'columns' names where it stands: leave one of them out")
    found = {}
    for ours in (*IMAGE, *SPARSE, *needed, *welcome):
        choices = [given[ours]] if ours in given else [ours, *OTHER_NAMES.get(ours, ())]
        there = [name for name in choices if name in names]
        if ours in given and not there:
            raise BadInput(f"{path}: no column '{given[ours]}' for {ours}; there are {', '.join(names)}")
        if len(there) > 1:
            raise BadInput(f"{path}: {' and '.join(there)} could both be the {ours}: say which under 'columns'")
        if there:
            found[ours] = there[0]
    dense, sparse = ([ours for ours in kind if ours in found] for kind in (IMAGE, SPARSE))
    if bool(dense) == (len(sparse) == len(SPARSE)):
        trouble = "both dense images and lists of values" if dense else "neither dense images nor lists of values"
        raise BadInput(f"{path}: {trouble}: name the column of the image, or pixel, layer and value, under 'columns'")
    missing = [ours for ours in needed if ours not in found]
    if missing:
        other = ", or give the sample 'position: none'" if missing[0] in POSITION else ""
        raise BadInput(f"{path}: no column known as {missing[0]}; name it under 'columns'{other}: {', '.join(names)}")
    return found
