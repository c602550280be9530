"""What comes back from a checkpoint: held to be of the right form, and laid out as it was."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def require_forms(found: Mapping[str, Tensor], forms: Mapping[str, Tensor]) -> None:
    """KeyError or ValueError unless, for each of the forms, there is a tensor of its shape and type."""
    for name, form in forms.items():
        if (found[name].shape, found[name].dtype) != (form.shape, form.dtype):
            raise ValueError(
                f"{name} is {found[name].dtype} {tuple(found[name].shape)}, not {form.dtype} {tuple(form.shape)}"
            )


def require_numbers(found: Mapping, but: Sequence[str] = ()) -> Mapping:
    """The same; ValueError unless all of it, but for these names, are numbers from nought up."""
    for name, value in found.items():
        if name not in but and not (isinstance(value, int | float) and value >= 0):
            raise ValueError(f"{name} is {value}")
    return found


def laid_out_as(parameter: Tensor, values: Tensor) -> Tensor:
    """These values in the memory layout of a parameter, which fused optimisers want of all that belongs to it."""
    return torch.empty_like(parameter, requires_grad=False).copy_(values)
