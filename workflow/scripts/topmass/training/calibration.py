"""Conformal calibration of predicted intervals with one scale factor."""

import torch
from torch import Tensor

MIN_DISTANCE = 1e-4
"""Smallest distance between quantiles in the fit, in units of the mass scale: 0.05 GeV, a negligible difference."""


def fit_conformal_scale(outputs: Tensor, target: Tensor, weight: Tensor, quantiles: tuple[float, ...]) -> float:
    """Return the factor by which the distances of the outer quantiles from the median are multiplied.

    The scaled intervals cover the nominal weighted fraction of the jets (conformal calibration by a scale;
    H. Papadopoulos, V. Vovk and A. Gammerman, JAIR 40, 815, 2011). The network must not be trained on these jets.

    Args:
        outputs: Predicted quantiles (N, 3), in units of the mass scale.
        target: True masses (N,), in units of the mass scale.
        weight: Weights (N,) of the jets.
        quantiles: Three ascending quantiles; the nominal coverage is the last minus the first.
    """
    low, median, high = outputs.double().unbind(1)
    error = target.double() - median
    distance = torch.where(error < 0, median - low, high - median).clamp(min=MIN_DISTANCE)
    scales, order = (error.abs() / distance).sort()
    covered = weight.double()[order].cumsum(0)
    index = torch.searchsorted(covered, (quantiles[2] - quantiles[0]) * covered[-1])
    return float(scales[index.clamp(max=len(scales) - 1)])


def scale_intervals(outputs: Tensor, scale: float) -> Tensor:
    """Return outputs (N, Q) with distances from the median multiplied by `scale`."""
    median = outputs[:, outputs.shape[1] // 2, None]
    return median + (outputs - median) * scale
