"""Muon for weight matrices, and AdamW for all other parameters."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer

from topmass.device import find_precision

MIN_MATRIX_DIM = 24
"""Minimum number of rows and columns for Muon: smaller matrices are output layers or embed a few features."""


class FastMuon(Muon):
    """`torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`, in the fastest precision of the device.

    torch iterates in bfloat16 on every device. On CPUs without bfloat16 instructions, a step of `prongs` then takes six
    times as long as in float32. On devices with these instructions, steps are bit-identical to those of torch.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Update the parameters from their gradients."""
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for matrix in group["params"]:
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix)
                average = state["momentum_buffer"]
                average.lerp_(matrix.grad, 1 - momentum)
                update = matrix.grad.lerp(average, momentum)
                update = orthogonalize(update, find_precision("auto", matrix.device), group)
                matrix.mul_(1 - rate * group["weight_decay"])
                matrix.add_(update, alpha=-rate * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonalize(matrix: Tensor, precision: torch.dtype, group: dict) -> Tensor:
    """Return the nearest matrix with orthonormal rows or columns, by Newton–Schulz iterations in this precision.

    The matrix may be overwritten. `group` has `ns_coefficients`, `ns_steps` and `eps` of `torch.optim.Muon`.
    """
    a, b, c = group["ns_coefficients"]
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.to(precision)
    x = x.mT if tall else x
    x.div_(x.norm().clamp(min=group["eps"]))
    for _ in range(group["ns_steps"]):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class MuonAndAdamW(Optimizer):
    """Muon for matrices, and AdamW for all other parameters.

    Muon orthogonalises the update of a matrix, so that all its directions are learned at the same rate (K. Jordan et
    al., "Muon: an optimizer for hidden layers in neural networks", 2024). Updates are as large as those of AdamW (J.
    Liu et al., arXiv:2502.16982), so that both use the same `learning_rate` and `weight_decay`.
    """

    def __init__(self, parameters: Sequence[Parameter], learning_rate: float, weight_decay: float, fused: bool) -> None:
        matrices = [weight for weight in parameters if weight.ndim == 2 and min(weight.shape) >= MIN_MATRIX_DIM]
        others = [weight for weight in parameters if all(weight is not matrix for matrix in matrices)]
        self.parts: list[Optimizer] = []
        if matrices:
            self.parts.append(FastMuon(matrices, learning_rate, weight_decay))
        if others:
            self.parts.append(AdamW(others, learning_rate, weight_decay=weight_decay, fused=fused))
        super().__init__([group for part in self.parts for group in part.param_groups], {"lr": learning_rate})
        self._share()

    def _share(self) -> None:
        """Share the parameter groups and the state of this optimiser, which a checkpoint contains, with its parts."""
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._share()

    def step(self, closure: None = None) -> None:
        """Update the parameters from their gradients."""
        for part in self.parts:
            part.step(closure)
