"""Conversion of Arrow columns to NumPy arrays, with type checks."""

import numpy as np
import pyarrow as pa

from topmass.jets import HIT_COLUMNS


class BadRow(Exception):
    """An unreadable row: its index among the decoded rows, and the reason."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row, self.why = row, why


def is_numeric_type(kind: pa.DataType) -> bool:
    """Return whether values of this type are integers or floats."""
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def normalize_type(values: pa.Array) -> pa.Array:
    """Remove an extension type; convert decimals and columns of only nulls to float64."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return normalize_type(values.storage)
    return values.cast(pa.float64()) if pa.types.is_decimal(kind) or pa.types.is_null(kind) else values


def unnest(values: pa.Array) -> tuple[np.ndarray, pa.Array] | None:
    """Return the lengths (N,) of lists of any list type and their concatenated values; None for other types."""
    kind = values.type
    if pa.types.is_fixed_size_list(kind):
        lengths = np.full(len(values), kind.list_size)
    elif pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        lengths = values.sizes.to_numpy()
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = np.diff(values.offsets)
    else:
        return None
    return lengths.astype(np.int64), normalize_type(values.flatten())


def lists(columns: dict[str, pa.Array]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the offsets and arrays of sparse columns.

    Args:
        columns: List columns (N,), by name in `HIT_COLUMNS`.

    Returns:
        Offsets (N + 1,), and arrays by name; `value` has the type of the file.

    Raises:
        BadRow: A column is not a list of numbers, has nulls, or differs in length from the others.
    """
    sparse, offsets = {}, []
    for name, column in columns.items():
        inside = unnest(normalize_type(column))
        if not inside or not is_numeric_type(inside[1].type):
            raise BadRow(0, f"{name} is {column.type}, not a list of numbers")
        lengths, values = inside
        if column.null_count or values.null_count:
            raise BadRow(0, f"{name} is null in this row or a following one")
        offsets.append(np.concatenate([[0], np.cumsum(lengths)]))
        numbers = values.to_numpy(zero_copy_only=False)
        sparse[name] = numbers if name == "value" else integers(numbers, HIT_COLUMNS[name], name, offsets[-1])
    for other in offsets[1:]:
        if not np.array_equal(offsets[0], other):
            raise BadRow(int(np.argmax(offsets[0] != other)) - 1, "pixel, layer and value differ in length")
    return offsets[0], sparse


def to_numeric(column: pa.Array, dtype: np.dtype, name: str) -> np.ndarray:
    """Return one number per jet, (N,); null becomes NaN in a float type.

    Raises:
        BadRow: The column is not numeric; for an integer type, a value is null or not an integer.
    """
    column = normalize_type(column)
    if not is_numeric_type(column.type):
        raise BadRow(0, f"{name} is {column.type}, not a number")
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return column.to_numpy(zero_copy_only=False).astype(dtype)
    if column.null_count:
        raise BadRow(int(np.argmax(column.is_null())), f"{name} is null")
    return integers(column.to_numpy(zero_copy_only=False), dtype, name, np.arange(len(column) + 1))


def integers(values: np.ndarray, dtype: np.dtype, name: str, offset: np.ndarray) -> np.ndarray:
    """Convert values exactly to an integer type; jet i has `values[offset[i] : offset[i + 1]]`.

    Raises:
        BadRow: A value is not representable in this type.
    """
    with np.errstate(invalid="ignore"):
        found = values.astype(dtype)
    if not np.array_equal(found, values):
        at = int(np.argmax(found != values))
        raise BadRow(int(np.searchsorted(offset, at, side="right")) - 1, f"{name} {values[at]} is not a {dtype.name}")
    return found
