"""Upper limits on the training rate from memory bandwidth and arithmetic (roofline model).

Only convolutions count. All operations between them are assumed to be fused at no cost. The forward pass reads the
input and writes the output. The backward pass reads the gradient of the output and the input once. It writes the
gradient of the input, except for the first convolution. Each multiply-add counts as two operations: in the forward
pass, for the gradient of the weights, and for the gradient of the input. Bandwidth and arithmetic rate are measured on
the device, by a copy of a large tensor and a product of two square matrices in the precision of the network.
"""

from typing import NamedTuple

import torch
from torch import nn

from benchmarks.measure import time_in_turns, wait


class ModelCost(NamedTuple):
    """Cost of a training step per jet: moved elements of activations, and operations."""

    elements: int
    operations: int


class Limits(NamedTuple):
    """Limits of a device: bytes and operations per second."""

    bandwidth: float
    operations: float


def model_cost(network: nn.Module, layers: int, side: int, device: torch.device) -> ModelCost:
    """Compute the cost per jet of a network with images (B, layers, side, side) and positions (B, 2) as inputs."""
    costs: list[ModelCost] = []

    def count(module: nn.Conv2d, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        before, after = inputs[0].numel(), output.numel()
        products = after * module.in_channels * module.kernel_size[0] * module.kernel_size[1]
        passes = 3 if costs else 2
        costs.append(ModelCost(passes * before + 2 * after, 2 * products * passes))

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_hook(count) for module in convolutions]
    with torch.no_grad():
        network(torch.zeros(1, layers, side, side, device=device), torch.zeros(1, 2, device=device))
    for hook in hooks:
        hook.remove()
    return ModelCost(*map(sum, zip(*costs, strict=True)))


def measure_limits(device: torch.device, precision: torch.dtype) -> Limits:
    """Measure the bandwidth of a copy (reads plus writes) and the rate of a matrix product; best of ten runs."""
    # Use TF32 if convolutions use it.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    size, side = (2**30, 8192) if device.type == "cuda" else (2**27, 1536)
    source = torch.zeros(size // 4, device=device)
    target = torch.empty_like(source)
    left, right = (torch.randn(side, side, device=device, dtype=precision) for _ in range(2))
    work = {"copy": lambda: target.copy_(source), "product": lambda: left @ right}
    seconds = time_in_turns({name: lambda run=run: (run(), wait(device)) for name, run in work.items()}, 10, warm_up=2)
    return Limits(2 * size / seconds["copy"].min(), 2 * side**3 / seconds["product"].min())


def roofline_rate(cost: ModelCost, limits: Limits, precision: torch.dtype) -> tuple[float, float]:
    """Return the maximum rates, in jets per second, from bandwidth and from arithmetic."""
    return limits.bandwidth / (cost.elements * precision.itemsize), limits.operations / cost.operations
