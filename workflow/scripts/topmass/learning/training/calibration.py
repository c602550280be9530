"""Quantiles that hold what they promise: one number, from jets that the network was not trained on."""

import torch
from torch import Tensor

LEAST = 1e-4
"""Of a distance between outputs, in units of the mass scale: below 0.05 GeV nothing is told apart."""


def find_widening(outputs: Tensor, target: Tensor, weight: Tensor, quantiles: tuple[float, ...]) -> float:
    """What the distances of the outer outputs (N, 3) from the middle one are to be multiplied with.

    Then as many of the jets with masses `target` (N,), by their `weight` (N,), lie between the outer two as the
    quantiles say (conformal calibration by a scale; H. Papadopoulos, V. Vovk and A. Gammerman, JAIR 40, 815, 2011).
    """
    low, middle, high = outputs.double().unbind(1)
    error = target.double() - middle
    distance = torch.where(error < 0, middle - low, high - middle).clamp(min=LEAST)
    needed, order = (error.abs() / distance).sort()
    reached = weight.double()[order].cumsum(0)
    place = torch.searchsorted(reached, (quantiles[2] - quantiles[0]) * reached[-1])
    return float(needed[place.clamp(max=len(needed) - 1)])


def widened(outputs: Tensor, widening: float) -> Tensor:
    """Outputs (N, Q) with the distances from the middle one multiplied."""
    middle = outputs[:, outputs.shape[1] // 2, None]
    return middle + (outputs - middle) * widening
