"""ONNX symbolics of operations that torch's exporter lacks, or writes for float32 only.

They use only ONNX operations that support float64. Each takes the exporter's graph and the arguments of the torch
operation. `onnx_model.py` has the reasons for torch's older exporter.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch.onnx import register_custom_op_symbolic, symbolic_helper, unregister_custom_op_symbolic

OPSET = 17
"""Last opset that torch's older exporter fully supports; frameworks that are some years old can read it."""


def dtype_of(x):
    """Return the dtype of a value of the exporter's graph."""
    return torch.onnx.JitScalarType.from_value(x).dtype()


def constant(g, value, like=None):
    """Return a constant with the dtype of `like`, or an int64 constant."""
    return g.op("Constant", value_t=torch.tensor(value, dtype=torch.int64 if like is None else dtype_of(like)))


def hypot(g, x, y):
    """Return √(x² + y²)."""
    return g.op("Sqrt", g.op("Add", g.op("Mul", x, x), g.op("Mul", y, y)))


def cos(g, x):
    """Return cos x; for float64 as sin(x + π/2), since onnxruntime before 1.29 lacks a float64 Cos."""
    is_double = dtype_of(x) == torch.float64
    return g.op("Sin", g.op("Add", x, constant(g, math.pi / 2, x))) if is_double else g.op("Cos", x)


def matmul(g, x, y):
    """Return a matrix product; for float64 by Einsum."""
    if dtype_of(x) != torch.float64:
        return g.op("MatMul", x, y)
    # Older versions of onnxruntime fuse MatMul with a transposition, and lack a float64 kernel for the fused operation.
    first, second = ("abcd"[6 - symbolic_helper._get_tensor_rank(each) :] for each in (x, y))
    return g.op("Einsum", x, y, equation_s=f"{first}ij,{second}jk->{max(first, second, key=len)}ik")


def cosh(g, x):
    """Return (eˣ + e⁻ˣ) / 2."""
    total = g.op("Add", g.op("Exp", x), g.op("Exp", g.op("Neg", x)))
    return g.op("Mul", total, constant(g, 0.5, x))


def sinh(g, x):
    """Return (eˣ − e⁻ˣ) / 2."""
    total = g.op("Sub", g.op("Exp", x), g.op("Exp", g.op("Neg", x)))
    return g.op("Mul", total, constant(g, 0.5, x))


def atanh(g, x):
    """Return ln((1 + x) / (1 − x)) / 2."""
    one = constant(g, 1.0, x)
    ratio = g.op("Div", g.op("Add", one, x), g.op("Sub", one, x))
    return g.op("Mul", g.op("Log", ratio), constant(g, 0.5, x))


def atan2(g, y, x):
    """Return the angle of (x, y), computed in float32 and refined to float64 by one Newton step."""
    number = partial(constant, g, like=x)
    steep = g.op("Mul", g.op("Sign", y), number(math.pi / 2))
    to_float = {"to_i": torch.onnx.TensorProtoDataType.FLOAT}
    flat = g.op("CastLike", g.op("Atan", g.op("Cast", g.op("Div", y, x), **to_float)), x)
    zero = number(0.0)
    behind = g.op("Where", g.op("Less", y, zero), number(-math.pi), number(math.pi))
    flat = g.op("Where", g.op("Less", x, zero), g.op("Add", flat, behind), flat)
    angle = g.op("Where", g.op("Equal", x, zero), steep, flat)
    to_y, to_x = g.op("Sin", angle), cos(g, angle)
    across = g.op("Sub", g.op("Mul", y, to_x), g.op("Mul", x, to_y))
    along = g.op("Add", g.op("Mul", x, to_x), g.op("Mul", y, to_y))
    tiny = number(torch.finfo(dtype_of(x)).tiny)
    return g.op("Add", angle, g.op("Div", across, g.op("Max", along, tiny)))


@symbolic_helper.parse_args("v", "v", "none", "b")
def bucketize(g, x, edges, out_int32, right):
    """Return the number of edges that are not above x, as for `right=True`, the only case in use."""
    # One edge at a time: onnxruntime 1.26 to 1.31 reduces an empty tensor (0, E) over its last axis to (E,), not (0,).
    bins = constant(g, 0)
    for number in range(symbolic_helper._get_tensor_dim_size(edges, 0)):
        reached = g.op("GreaterOrEqual", x, g.op("Gather", edges, constant(g, number)))
        bins = g.op("Add", bins, g.op("Cast", reached, to_i=torch.onnx.TensorProtoDataType.INT64))
    return bins


def index_add(g, to, dim, index, source, alpha):
    """Add rows of a source, (V,) or (V, K), to the rows at `index`."""
    if symbolic_helper._get_tensor_rank(source) == 2:
        index = g.op("Expand", g.op("Unsqueeze", index, constant(g, [-1])), g.op("Shape", source))
    # Not ScatterND: there, onnxruntime adds to the same element from several threads.
    return g.op("ScatterElements", to, index, source, axis_i=0, reduction_s="add")


@symbolic_helper.parse_args("v", "is", "none", "none", "none", "none", "i")
def avg_pool2d(g, image, size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """Return sums over square windows of pixels; the last windows are padded with zeros."""
    # AveragePool pads: onnxruntime 1.20 fuses a separate Pad with it, and then omits the padding from the mean.
    pads = [0, 0, size[0] - 1, size[1] - 1]
    mean = g.op("AveragePool", image, kernel_shape_i=size, strides_i=size, pads_i=pads, count_include_pad_i=1)
    return g.op("Mul", mean, constant(g, size[0] * size[1] / divisor_override, image))


def transposed(g, x):
    """Swap the last two axes."""
    axes = [*range(symbolic_helper._get_tensor_rank(x))]
    return g.op("Transpose", x, perm_i=[*axes[:-2], axes[-1], axes[-2]])


@symbolic_helper.parse_args("i", "i", "i", "none", "none", "none", "none")
def triu_indices(g, rows, columns, offset, dtype, layout, device, pin_memory):
    """Return rows and columns of the upper triangle."""
    return constant(g, torch.triu_indices(rows, columns, offset).tolist())


OPERATIONS: dict[str, Callable] = {
    "hypot": hypot, "cos": cos, "cosh": cosh, "sinh": sinh, "atanh": atanh, "atan2": atan2, "bucketize": bucketize,
    "index_add": index_add, "avg_pool2d": avg_pool2d, "matmul": matmul, "mT": transposed, "triu_indices": triu_indices,
}  # fmt: skip
"""Symbolics by the names of the torch operations."""


@contextmanager
def register_symbolics() -> Iterator[None]:
    """Register the symbolics with the exporter in this context."""
    for name, symbolic in OPERATIONS.items():
        register_custom_op_symbolic(f"aten::{name}", symbolic, OPSET)
    try:
        yield
    finally:
        for name in OPERATIONS:
            unregister_custom_op_symbolic(f"aten::{name}", OPSET)
