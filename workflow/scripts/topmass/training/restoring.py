"""Validation and memory layout of values from a checkpoint."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def check_shapes(found: Mapping[str, Tensor], forms: Mapping[str, Tensor]) -> None:
    """Check that each expected tensor is there, with its shape and dtype.

    Args:
        found: Tensors from a checkpoint, by name.
        forms: Tensors of the expected shapes and dtypes, by name.

    Raises:
        KeyError: A tensor is missing.
        ValueError: A tensor has another shape or dtype.
    """
    for name, form in forms.items():
        if (found[name].shape, found[name].dtype) != (form.shape, form.dtype):
            raise ValueError(
                f"{name} is {found[name].dtype} {tuple(found[name].shape)}, not {form.dtype} {tuple(form.shape)}"
            )


def check_scalars(found: Mapping, but: Sequence[str] = ()) -> Mapping:
    """Return `found` if all its values, except those named in `but`, are non-negative numbers.

    Raises:
        ValueError: A value is not a number, or is negative.
    """
    for name, value in found.items():
        if name not in but and not (isinstance(value, int | float) and value >= 0):
            raise ValueError(f"{name} is {value}")
    return found


def match_memory_format(parameter: Tensor, values: Tensor) -> Tensor:
    """Return values in the memory layout of a parameter, which fused optimisers require of their state."""
    return torch.empty_like(parameter, requires_grad=False).copy_(values)
