"""A user's file of jets of any format, opened for reading."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.io.columns import COMMAND_LINE_OPTIONS, OPTIONAL, REQUIRED
from topmass.io.parquet_input import ParquetInput
from topmass.io.root_formats import PARQUET_FORMAT
from topmass.io.root_input import RootInput

JetInput = ParquetInput | RootInput
"""Readers with the same interface; see `ParquetInput`."""


def open_input(
    path: Path,
    file_format: str,
    columns: Mapping[str, str],
    needed: Sequence[str] = REQUIRED,
    welcome: Sequence[str] = OPTIONAL,
    settings: Mapping[str, str] = COMMAND_LINE_OPTIONS,
) -> JetInput:
    """Open a file of jets.

    Args:
        path: The file.
        file_format: `parquet`, or a name in `FORMATS` of `topmass.io.root_formats`.
        columns: The user's columns or branches by quantity.
        needed: Required columns of a parquet file.
        welcome: Optional columns of a parquet file.
        settings: Names of the user's settings, for messages.

    Raises:
        BadInput: The file does not have this format, or lacks jets.
    """
    if file_format == PARQUET_FORMAT:
        return ParquetInput(path, columns, needed, welcome, settings)
    return RootInput(path, file_format, columns, settings)
