"""Arrow columns of somebody's parquet file as NumPy arrays, checked to be of the form that is expected."""

import numpy as np
import pyarrow as pa

from topmass.jets import SPARSE


class BadRow(Exception):
    """A row, counted from the first of those at hand, that cannot be read; and why."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row, self.why = row, why


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type are integers or floats."""
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def plain(values: pa.Array) -> pa.Array:
    """The same values; as doubles if they are decimals, or nothing but nulls."""
    kind = values.type
    return values.cast(pa.float64()) if pa.types.is_decimal(kind) or pa.types.is_null(kind) else values


def opened(values: pa.Array) -> tuple[np.ndarray, pa.Array] | None:
    """The lengths of lists of any kind and what is in them, one list after the other; None for what are no lists."""
    kind = values.type
    if pa.types.is_fixed_size_list(kind):
        lengths = np.full(len(values), kind.list_size)
    elif pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        lengths = values.sizes.to_numpy()
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = np.diff(values.offsets)
    else:
        return None
    return lengths.astype(np.int64), plain(values.flatten())


def lists(columns: dict[str, pa.Array]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Offsets (N + 1,) and the arrays of SPARSE, given the columns of these names; `value` in the type of the file."""
    sparse, offsets = {}, []
    for name, column in columns.items():
        inside = opened(plain(column))
        if not inside or not is_number(inside[1].type):
            raise BadRow(0, f"{name} is {column.type}, not a list of numbers")
        lengths, values = inside
        if column.null_count or values.null_count:
            raise BadRow(0, f"{name} is null in this row or a following one")
        offsets.append(np.concatenate([[0], np.cumsum(lengths)]))
        numbers = values.to_numpy(zero_copy_only=False)
        sparse[name] = numbers if name == "value" else integers(numbers, SPARSE[name], name, offsets[-1])
    for other in offsets[1:]:
        if not np.array_equal(offsets[0], other):
            raise BadRow(int(np.argmax(offsets[0] != other)) - 1, "pixel, layer and value differ in length")
    return offsets[0], sparse


def numbers(column: pa.Array, dtype: np.dtype, name: str) -> np.ndarray:
    """One number a jet, (N,); NaN for null where the type has it."""
    column = plain(column)
    if not is_number(column.type):
        raise BadRow(0, f"{name} is {column.type}, not a number")
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return column.to_numpy(zero_copy_only=False).astype(dtype)
    if column.null_count:
        raise BadRow(int(np.argmax(column.is_null())), f"{name} is null")
    return integers(column.to_numpy(zero_copy_only=False), dtype, name, np.arange(len(column) + 1))


def integers(values: np.ndarray, dtype: np.dtype, name: str, offset: np.ndarray) -> np.ndarray:
    """The same numbers as integers of this type; those of jet i are at `offset[i]:offset[i + 1]`."""
    with np.errstate(invalid="ignore"):
        found = values.astype(dtype)
    if not np.array_equal(found, values):
        at = int(np.argmax(found != values))
        raise BadRow(int(np.searchsorted(offset, at, side="right")) - 1, f"{name} {values[at]} is not a {dtype.name}")
    return found
