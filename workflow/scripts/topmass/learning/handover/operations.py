"""Operations that torch's exporter lacks, or writes for float32 alone, made of those that ONNX has for float64 too.

Each takes the exporter's graph and the values of torch's operation of this name.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.onnx import register_custom_op_symbolic, symbolic_helper, unregister_custom_op_symbolic

OPSET = 17
"""The last that torch's older exporter writes whole, and what frameworks of some years ago read."""


def constant(g, value, like=None):
    """A number of the type of a value, or a list of whole ones."""
    dtype = torch.int64 if like is None else torch.onnx.JitScalarType.from_value(like).dtype()
    return g.op("Constant", value_t=torch.tensor(value, dtype=dtype))


def hypot(g, x, y):
    """√(x² + y²)."""
    return g.op("Sqrt", g.op("Add", g.op("Mul", x, x), g.op("Mul", y, y)))


def cosh(g, x):
    """(eˣ + e⁻ˣ) / 2."""
    total = g.op("Add", g.op("Exp", x), g.op("Exp", g.op("Neg", x)))
    return g.op("Mul", total, constant(g, 0.5, x))


def sinh(g, x):
    """(eˣ − e⁻ˣ) / 2."""
    total = g.op("Sub", g.op("Exp", x), g.op("Exp", g.op("Neg", x)))
    return g.op("Mul", total, constant(g, 0.5, x))


def atanh(g, x):
    """ln((1 + x) / (1 − x)) / 2."""
    one = constant(g, 1.0, x)
    ratio = g.op("Div", g.op("Add", one, x), g.op("Sub", one, x))
    return g.op("Mul", g.op("Log", ratio), constant(g, 0.5, x))


def atan2(g, y, x):
    """The angle of (x, y), found in float32, to which one step of Newton's adds the digits of float64."""

    def number(value):
        return constant(g, value, x)

    steep = g.op("Mul", g.op("Sign", y), number(math.pi / 2))
    to_float = {"to_i": torch.onnx.TensorProtoDataType.FLOAT}
    flat = g.op("CastLike", g.op("Atan", g.op("Cast", g.op("Div", y, x), **to_float)), x)
    zero = number(0.0)
    behind = g.op("Where", g.op("Less", y, zero), number(-math.pi), number(math.pi))
    flat = g.op("Where", g.op("Less", x, zero), g.op("Add", flat, behind), flat)
    angle = g.op("Where", g.op("Equal", x, zero), steep, flat)
    sin, cos = g.op("Sin", angle), g.op("Cos", angle)
    across = g.op("Sub", g.op("Mul", y, cos), g.op("Mul", x, sin))
    along = g.op("Add", g.op("Mul", x, cos), g.op("Mul", y, sin))
    tiny = number(torch.finfo(torch.onnx.JitScalarType.from_value(x).dtype()).tiny)
    return g.op("Add", angle, g.op("Div", across, g.op("Max", along, tiny)))


@symbolic_helper.parse_args("v", "v", "none", "b")
def bucketize(g, x, edges, out_int32, right):
    """How many of the edges are not above x; with `right`, which alone is used here."""
    reached = g.op("GreaterOrEqual", g.op("Unsqueeze", x, constant(g, [-1])), edges)
    whole = g.op("Cast", reached, to_i=torch.onnx.TensorProtoDataType.INT64)
    return g.op("ReduceSum", whole, constant(g, [-1]), keepdims_i=0)


def index_add(g, to, dim, index, source, alpha):
    """Add rows of a source, (V,) or (V, K), to those that the index says."""
    if symbolic_helper._get_tensor_rank(source) == 2:
        index = g.op("Expand", g.op("Unsqueeze", index, constant(g, [-1])), g.op("Shape", source))
    # Not ScatterND: onnxruntime adds to one place from several threads there.
    return g.op("ScatterElements", to, index, source, axis_i=0, reduction_s="add")


@symbolic_helper.parse_args("v", "is", "none", "none", "none", "none", "i")
def avg_pool2d(g, image, size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """Sums of squares of pixels, the last of them filled up with zeros."""
    pads = g.op("Pad", image, constant(g, [0, 0, 0, 0, 0, 0, size[0] - 1, size[1] - 1]))
    mean = g.op("AveragePool", pads, kernel_shape_i=size, strides_i=size)
    return g.op("Mul", mean, constant(g, size[0] * size[1] / divisor_override, image))


def transposed(g, x):
    """The last two axes the other way round."""
    axes = [*range(symbolic_helper._get_tensor_rank(x))]
    return g.op("Transpose", x, perm_i=[*axes[:-2], axes[-1], axes[-2]])


@symbolic_helper.parse_args("i", "i", "i", "none", "none", "none", "none")
def triu_indices(g, rows, columns, offset, dtype, layout, device, pin_memory):
    """Rows and columns of the upper triangle."""
    return constant(g, torch.triu_indices(rows, columns, offset).tolist())


OPERATIONS: dict[str, Callable] = {
    "hypot": hypot, "cosh": cosh, "sinh": sinh, "atanh": atanh, "atan2": atan2, "bucketize": bucketize,
    "index_add": index_add, "avg_pool2d": avg_pool2d, "mT": transposed, "triu_indices": triu_indices,
}  # fmt: skip
"""By the names that torch has for them."""


@contextmanager
def operations() -> Iterator[None]:
    """In this block the exporter knows them."""
    for name, make in OPERATIONS.items():
        register_custom_op_symbolic(f"aten::{name}", make, OPSET)
    try:
        yield
    finally:
        for name in OPERATIONS:
            unregister_custom_op_symbolic(f"aten::{name}", OPSET)
