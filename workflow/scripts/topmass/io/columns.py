"""Mapping of the columns of a user's parquet file to those of a jet table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.files import BadInput
from topmass.jets import GENERATED_COLUMNS, POSITION_COLUMNS, QUARKS

IMAGE = ("image",)
SPARSE_COLUMNS = ("pixel", "layer", "value")
REQUIRED = ("pt", *POSITION_COLUMNS)
OPTIONAL = ("mass", "event", "eta", "phi", "jet_mass", "softdrop_mass", "top_pt", *QUARKS, *GENERATED_COLUMNS)
"""Read if present. Otherwise null in the jet table, except `event`, which is then the row number."""
OTHER_NAMES = {"image": ("X_jet", "X_jets"), "mass": ("m", "genM", "am")}
"""Names in the known versions of the CMS files, in addition to the names of the jet table."""
COMMAND_LINE_OPTIONS = {name: f"--{name}" for name in ("layers", "columns", "format", "device")}
"""Command-line options for settings that have other names in the configuration; messages use either."""


def find_columns(
    path: Path,
    names: Sequence[str],
    user_columns: Mapping[str, str],
    needed: Sequence[str] = REQUIRED,
    welcome: Sequence[str] = OPTIONAL,
    settings: Mapping[str, str] = COMMAND_LINE_OPTIONS,
) -> dict[str, str]:
    """Return the file's column for each column of the jet table.

    A column in `user_columns` has precedence. Otherwise exactly one column must have a known name. Jets are dense
    images (`IMAGE`) or lists of their non-zero values (`SPARSE_COLUMNS`). Unused columns may have any name.

    Args:
        path: The file, for messages.
        names: Names of all columns of the file.
        user_columns: The user's column names, by name in the jet table.
        needed: Required columns of the jet table.
        welcome: Optional columns of the jet table.
        settings: Names of the user's settings for columns and position, for messages.

    Raises:
        BadInput: Images or a required column are missing, or a column is ambiguous.
    """
    option = settings["columns"]
    if unused := sorted(user_columns.keys() & set(POSITION_COLUMNS) - {*needed, *welcome}):
        none = f"{settings['position']} is none" if "position" in settings else "the model takes no position"
        raise BadInput(f"{path}: {none}, and {option} names {' and '.join(unused)}: leave that out")
    columns = {}
    for quantity in (*IMAGE, *SPARSE_COLUMNS, *needed, *welcome):
        choices = [user_columns[quantity]] if quantity in user_columns else [quantity, *OTHER_NAMES.get(quantity, ())]
        present = [name for name in choices if name in names]
        if quantity in user_columns and not present:
            raise BadInput(f"{path}: no column '{user_columns[quantity]}' for {quantity}; there are {', '.join(names)}")
        if len(present) > 1:
            raise BadInput(f"{path}: {' and '.join(present)} could both be the {quantity}: say which with {option}")
        if present:
            if names.count(present[0]) > 1:
                raise BadInput(f"{path}: two columns '{present[0]}': rename one")
            columns[quantity] = present[0]
    dense, sparse = ([quantity for quantity in kind if quantity in columns] for kind in (IMAGE, SPARSE_COLUMNS))
    if bool(dense) == (len(sparse) == len(SPARSE_COLUMNS)):
        problem = "both dense images and lists of values" if dense else "neither dense images nor lists of values"
        raise BadInput(f"{path}: {problem}: name the column of the image, or pixel, layer and value, with {option}")
    if missing := [quantity for quantity in needed if quantity not in columns]:
        optional = missing[0] in POSITION_COLUMNS and "position" in settings
        other = f", or set {settings['position']} to none" if optional else ""
        raise BadInput(f"{path}: no column known as {missing[0]}; name it with {option}{other}: {', '.join(names)}")
    return columns
