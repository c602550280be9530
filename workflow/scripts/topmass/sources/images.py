"""Arrow columns of somebody's images as NumPy arrays: nested lists, flat ones, and tensors."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from topmass.layers import SIDE
from topmass.sources.decoding import BadRow, is_number, opened, plain


def images(column: pa.Array, layers: int, about: str = "") -> np.ndarray:
    """Images (N, layers, SIDE, SIDE), in the type of the file, of a column in any form that says or leaves no doubt
    which number is which pixel.

    `about` is what the file says of an extension type of the column that Arrow does not know. `BadRow` for any other.
    """
    shape = (len(column), layers, SIDE, SIDE)
    if isinstance(column.type, pa.FixedShapeTensorType):
        kept, order = column.type.shape, column.type.permutation or range(len(column.type.shape))
        check_shape([kept[axis] for axis in order], layers)
        pixels = nested(column.storage)[1].reshape(len(column), *kept)
        return pixels.transpose(0, *(1 + axis for axis in order)).reshape(shape)
    flat = pa.types.is_struct(column.type) and {"data", "shape"} <= {field.name for field in column.type}
    if flat:
        column = data_of(column, layers)
    found, pixels = nested(column)
    check_shape(found, layers)
    if "permutation" in about or (about and not flat and len(found) < 3 and not says(about, layers)):
        raise BadRow(0, f"the image is flat, and its axes are not in order: {about}")
    return pixels.reshape(shape)


def nested(column: pa.Array) -> tuple[list[int], np.ndarray]:
    """The shape of what is in each row of nested lists, and all numbers in them in one array."""
    shape, leaves = [], plain(column)
    while len(leaves) and (inside := opened(leaves)):
        lengths, within = inside
        wrong = np.asarray(leaves.is_null()) if leaves.null_count else lengths != lengths[0]
        if wrong.any():
            part = int(np.argmax(wrong)) * len(column) // len(leaves)
            raise BadRow(part, "the image has a part that is missing or of another length")
        shape.append(int(lengths[0]))
        leaves = within
    if len(leaves) and (not is_number(leaves.type) or leaves.null_count):
        raise BadRow(0, f"the image has pixels of type {leaves.type}, or null, instead of numbers")
    return shape, leaves.to_numpy(zero_copy_only=False)


def data_of(column: pa.Array, layers: int) -> pa.Array:
    """The flat images of tensors that have their data and their shape beside each other, each of the right shape."""
    if column.null_count:
        raise BadRow(int(np.argmax(column.is_null())), "the image is null")
    fields = dict(zip([field.name for field in column.type], column.flatten(), strict=True))
    for row, shape in enumerate(fields["shape"].to_pylist()):
        check_shape(shape or [], layers, row)
    return fields["data"]


def check_shape(found: Sequence[int], layers: int, row: int = 0) -> None:
    """Raise `BadRow` for images of another shape, but for neighbouring axes that are one: no number moves by that."""
    wanted = (layers, SIDE, SIDE)
    merged = [wanted, (layers, SIDE * SIDE), (layers * SIDE, SIDE), (layers * SIDE * SIDE,)]
    if tuple(found) not in merged:
        words = " × ".join(map(str, found)) or "single numbers"
        raise BadRow(
            row, f"images are {words} instead of {layers} × {SIDE} × {SIDE} (the sample lists {layers} layers)"
        )


def says(about: str, layers: int) -> bool:
    """Whether a description has the shape of the images in it, as a list in JSON."""
    return re.search(rf"\[\s*{layers}\s*,\s*{SIDE}\s*,\s*{SIDE}\s*\]", about) is not None
