"""Conversion of image columns (nested lists, flat lists, tensors) to NumPy arrays."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from topmass.io.decoding import BadRow, is_numeric_type, normalize_type, unnest
from topmass.layers import SIDE


def images_from_column(column: pa.Array, layers: int, about: str = "") -> np.ndarray:
    """Return the images of a column in any form with an unambiguous order of pixels.

    Args:
        column: Images (N,).
        layers: Number of layers.
        about: Metadata of an extension type that Arrow does not support; "" for none.

    Returns:
        Images (N, layers, SIDE, SIDE) in the type of the file.

    Raises:
        BadRow: The column has another shape, another type, or an ambiguous order.
    """
    shape = (len(column), layers, SIDE, SIDE)
    if isinstance(column.type, pa.FixedShapeTensorType):
        kept, order = column.type.shape, column.type.permutation or range(len(column.type.shape))
        check_shape([kept[axis] for axis in order], layers)
        pixels = flatten_nested_lists(column.storage)[1].reshape(len(column), *kept)
        return pixels.transpose(0, *(1 + axis for axis in order)).reshape(shape)
    column = normalize_type(column)
    flat = pa.types.is_struct(column.type) and {"data", "shape"} <= {field.name for field in column.type}
    if flat:
        column = data_of(column, layers)
    found, pixels = flatten_nested_lists(column)
    check_shape(found, layers)
    if "permutation" in about:
        raise BadRow(0, f"the image is flat, and its axes are not in order: {about}")
    if about and not flat and len(found) < 3 and not describes_layers(about, layers):
        raise BadRow(0, f"the image is flat, and its type does not say {layers} × {SIDE} × {SIDE}: {about}")
    return pixels.reshape(shape)


def flatten_nested_lists(column: pa.Array) -> tuple[list[int], np.ndarray]:
    """Return the common shape of the nested lists in each row, and all their numbers in one array.

    Raises:
        BadRow: Shapes differ, or a part is null or not numeric.
    """
    shape, leaves = [], normalize_type(column)
    while len(leaves) and (inside := unnest(leaves)):
        lengths, within = inside
        wrong = np.asarray(leaves.is_null()) if leaves.null_count else lengths != lengths[0]
        if wrong.any():
            part = int(np.argmax(wrong)) * len(column) // len(leaves)
            raise BadRow(part, "the image has a part that is missing or of another length")
        shape.append(int(lengths[0]))
        leaves = within
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


def check_shape(found: Sequence[int], layers: int, row: int = 0) -> None:
    """Check the shape of images; adjacent axes may be merged, because this does not change the order of pixels.

    Raises:
        BadRow: The images have another shape.
    """
    wanted = (layers, SIDE, SIDE)
    merged = [wanted, (layers, SIDE * SIDE), (layers * SIDE, SIDE), (layers * SIDE * SIDE,)]
    if tuple(found) not in merged:
        words = " × ".join(map(str, found)) or "single numbers"
        raise BadRow(row, f"images are {words} instead of {layers} × {SIDE} × {SIDE} ({layers} layers are listed)")


def describes_layers(about: str, layers: int) -> bool:
    """Return whether a description contains the shape of the images as a JSON list."""
    return re.search(rf"\[\s*{layers}\s*,\s*{SIDE}\s*,\s*{SIDE}\s*\]", about) is not None
