"""Arrow columns of somebody's parquet file as NumPy arrays, checked to be of the form that is expected."""

import numpy as np
import pyarrow as pa

from topmass.jets import SPARSE
from topmass.layers import SIDE


class BadRow(Exception):
    """A row, counted from the first of those at hand, that cannot be read; and why."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row, self.why = row, why


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type are integers or floats."""
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def images(column: pa.Array, layers: int) -> np.ndarray:
    """Images (N, layers, SIDE, SIDE), in the type of the file, of nested lists, be they of a fixed size or not."""
    shape, leaves = [len(column)], column
    while pa.types.is_list(leaves.type) or pa.types.is_large_list(leaves.type) or is_fixed(leaves.type):
        lengths = np.full(len(leaves), leaves.type.list_size) if is_fixed(leaves.type) else np.diff(leaves.offsets)
        wrong = np.asarray(leaves.is_null()) if leaves.null_count else lengths != lengths[0]
        if wrong.any():
            part = int(np.argmax(wrong)) * len(column) // len(leaves)
            raise BadRow(part, "the image has a part that is missing or of another length")
        shape.append(int(lengths[0]))
        leaves = leaves.flatten()
    if not is_number(leaves.type) or leaves.null_count:
        raise BadRow(0, f"the image has pixels of type {leaves.type}, or null, instead of numbers")
    if shape[1:] != [layers, SIDE, SIDE]:
        found = " × ".join(map(str, shape[1:])) or "single numbers"
        raise BadRow(0, f"images are {found} instead of {layers} × {SIDE} × {SIDE} (the sample lists {layers} layers)")
    return leaves.to_numpy(zero_copy_only=False).reshape(shape)


def is_fixed(kind: pa.DataType) -> bool:
    """Whether this is a list of a fixed size."""
    return pa.types.is_fixed_size_list(kind)


def lists(columns: dict[str, pa.Array]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Offsets (N + 1,) and the arrays of SPARSE, given the columns of these names; `value` in the type of the file."""
    sparse, offsets = {}, []
    for name, column in columns.items():
        kind = column.type
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not is_number(kind.value_type):
            raise BadRow(0, f"{name} is {kind}, not a list of numbers")
        values = column.flatten()
        if column.null_count or values.null_count:
            raise BadRow(0, f"{name} is null in this row or a following one")
        start = column.offsets.to_numpy().astype(np.int64)
        offsets.append(start - start[0])
        numbers = values.to_numpy(zero_copy_only=False)
        sparse[name] = numbers if name == "value" else integers(numbers, SPARSE[name], name, offsets[-1])
    for other in offsets[1:]:
        if not np.array_equal(offsets[0], other):
            raise BadRow(int(np.argmax(offsets[0] != other)) - 1, "pixel, layer and value differ in length")
    return offsets[0], sparse


def numbers(column: pa.Array, dtype: np.dtype, name: str) -> np.ndarray:
    """One number a jet, (N,); NaN for null where the type has it."""
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
