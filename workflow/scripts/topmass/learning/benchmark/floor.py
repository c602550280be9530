"""What no training of a network can be faster than on a device: its memory traffic and its arithmetic.

Counted for each convolution, as if everything between two of them were done on the way and cost nothing. Forward: read
the input, write the output. Backward: read the gradient of the output and the input once, and write the gradient of the
input (not of the first). Arithmetic: two operations for each product, forward, for the gradient of the weights, and
for that of the input. Bandwidth and rate are measured on the device: a copy of a large tensor, and a product of two
square matrices in the precision of the network.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from topmass.learning.benchmark.engine import wait


class Work(NamedTuple):
    """Of one jet: elements of activations that are moved, and operations."""

    elements: int
    operations: int


class Limits(NamedTuple):
    """Of a device: bytes and operations per second."""

    bandwidth: float
    operations: float


def work_of(network: nn.Module, layers: int, side: int, device: torch.device) -> Work:
    """What a step takes for each jet of a network of images and positions."""
    counted: list[Work] = []

    def count(module: nn.Conv2d, given: tuple[torch.Tensor], output: torch.Tensor) -> None:
        before, after = given[0].numel(), output.numel()
        products = after * module.in_channels * module.kernel_size[0] * module.kernel_size[1]
        first = not counted
        counted.append(Work((2 if first else 3) * before + 2 * after, 2 * products * (2 if first else 3)))

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_hook(count) for module in convolutions]
    with torch.no_grad():
        network(torch.zeros(1, layers, side, side, device=device), torch.zeros(1, 2, device=device))
    for hook in hooks:
        hook.remove()
    return Work(sum(each.elements for each in counted), sum(each.operations for each in counted))


def measure_limits(device: torch.device, precision: torch.dtype) -> Limits:
    """Bandwidth of a copy, counted both ways, and rate of a matrix product; the best of several."""
    # As convolutions are, on a GPU with TF32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    size, side = (2**30, 8192) if device.type == "cuda" else (2**27, 1536)
    source = torch.zeros(size // 4, device=device)
    target = torch.empty_like(source)
    left, right = (torch.randn(side, side, device=device, dtype=precision) for _ in range(2))
    copy = best_time(lambda: target.copy_(source), device)
    product = best_time(lambda: left @ right, device)
    return Limits(2 * size / copy, 2 * side**3 / product)


def best_time(work: Callable[[], object], device: torch.device) -> float:
    """The least seconds of ten runs, after two."""
    seconds = []
    for _ in range(12):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[2:])


def floor_rate(work: Work, limits: Limits, precision: torch.dtype) -> tuple[float, float]:
    """Jets per second that the memory allows, and that the arithmetic allows."""
    return limits.bandwidth / (work.elements * precision.itemsize), limits.operations / work.operations
