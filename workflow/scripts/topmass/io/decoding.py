"""Conversion of Arrow columns to NumPy arrays, with checks: numbers, sparse lists, and images in any form."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from topmass.jets import HIT_COLUMNS
from topmass.layers import SIDE


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
    """Return the offsets (N + 1,) and arrays by name of sparse columns; `value` has the type of the file.

    Args:
        columns: List columns (N,), by name in `HIT_COLUMNS`.

    Raises:
        BadRow: A column is not a list of numbers, has nulls, or differs in length from the others.
    """
    sparse, offsets = {}, []
    for name, column in columns.items():
        unnested = unnest(normalize_type(column))
        if not unnested or not is_numeric_type(unnested[1].type):
            raise BadRow(0, f"{name} is {column.type}, not a list of numbers")
        lengths, values = unnested
        if column.null_count or values.null_count:
            raise BadRow(0, f"{name} is null in this row or a following one")
        offsets.append(np.concatenate([[0], np.cumsum(lengths)]))
        array = values.to_numpy(zero_copy_only=False)
        sparse[name] = array if name == "value" else integers(array, HIT_COLUMNS[name], name, offsets[-1])
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
        converted = values.astype(dtype)
    if not np.array_equal(converted, values):
        at = int(np.argmax(converted != values))
        raise BadRow(int(np.searchsorted(offset, at, side="right")) - 1, f"{name} {values[at]} is not a {dtype.name}")
    return converted


def images_from_column(column: pa.Array, layers: int, metadata: str = "") -> np.ndarray:
    """Return images (N, layers, SIDE, SIDE) from a column in any form with an unambiguous order of pixels.

    Args:
        column: Images (N,).
        layers: Number of layers.
        metadata: Metadata of an extension type that Arrow does not support; "" for none.

    Raises:
        BadRow: The column has another shape, another type, or an ambiguous order.
    """
    shape = (len(column), layers, SIDE, SIDE)
    if isinstance(column.type, pa.FixedShapeTensorType):
        stored, order = column.type.shape, column.type.permutation or range(len(column.type.shape))
        check_shape([stored[axis] for axis in order], layers)
        pixels = flatten_nested_lists(column.storage)[1].reshape(len(column), *stored)
        return pixels.transpose(0, *(1 + axis for axis in order)).reshape(shape)
    column = normalize_type(column)
    flat = pa.types.is_struct(column.type) and {"data", "shape"} <= {field.name for field in column.type}
    if flat:
        column = data_of(column, layers)
    row_shape, pixels = flatten_nested_lists(column)
    check_shape(row_shape, layers)
    if "permutation" in metadata:
        raise BadRow(0, f"the image is flat, and its axes are not in order: {metadata}")
    # The metadata may contain the shape as a JSON list.
    described = re.search(rf"\[\s*{layers}\s*,\s*{SIDE}\s*,\s*{SIDE}\s*\]", metadata)
    if metadata and not flat and len(row_shape) < 3 and not described:
        raise BadRow(0, f"the image is flat, and its type does not say {layers} × {SIDE} × {SIDE}: {metadata}")
    return pixels.reshape(shape)


def flatten_nested_lists(column: pa.Array) -> tuple[list[int], np.ndarray]:
    """Return the common shape of the nested lists in each row, and all their numbers in one array.

    Raises:
        BadRow: Shapes differ, or a part is null or not numeric.
    """
    shape, leaves = [], normalize_type(column)
    while len(leaves) and (unnested := unnest(leaves)):
        lengths, elements = unnested
        wrong = np.asarray(leaves.is_null()) if leaves.null_count else lengths != lengths[0]
        if wrong.any():
            part = int(np.argmax(wrong)) * len(column) // len(leaves)
            raise BadRow(part, "the image has a part that is missing or of another length")
        shape.append(int(lengths[0]))
        leaves = elements
    if len(leaves) and (not is_numeric_type(leaves.type) or leaves.null_count):
        raise BadRow(0, f"the image has pixels of type {leaves.type}, or null, instead of numbers")
    return shape, leaves.to_numpy(zero_copy_only=False)


def data_of(column: pa.Array, layers: int) -> pa.Array:
    """Return the flat images of tensors that are structs of `data` and `shape`, after a check of each shape."""
    if column.null_count:
        raise BadRow(int(np.argmax(column.is_null())), "the image is null")
    fields = dict(zip([field.name for field in column.type], column.flatten(), strict=True))
    for row, shape in enumerate(fields["shape"].to_pylist()):
        check_shape(shape or [], layers, row)
    return fields["data"]


def check_shape(shape: Sequence[int], layers: int, row: int = 0) -> None:
    """Raise BadRow for images of another shape; adjacent axes may be merged, which keeps the order of pixels."""
    allowed = [(layers, SIDE, SIDE), (layers, SIDE * SIDE), (layers * SIDE, SIDE), (layers * SIDE * SIDE,)]
    if tuple(shape) not in allowed:
        words = " × ".join(map(str, shape)) or "single numbers"
        raise BadRow(row, f"images are {words} instead of {layers} × {SIDE} × {SIDE} ({layers} layers are listed)")
