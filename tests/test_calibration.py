"""Conformal calibration."""

import numpy as np
import pytest
import torch

from topmass.training.calibration import fit_conformal_scale, scale_intervals


def test_widened_quantiles_hold_for_the_jets_that_they_are_calibrated_with():
    rng = np.random.default_rng(1)
    target = torch.from_numpy(rng.normal(0.6, 0.1, 20_000))
    outputs = torch.tensor([0.57, 0.6, 0.65]).expand(len(target), 3)
    weight = torch.from_numpy(rng.integers(0, 3, len(target)))
    low, middle, high = scale_intervals(
        outputs, fit_conformal_scale(outputs, target, weight, (0.16, 0.5, 0.84))
    ).unbind(1)
    inside = (target >= low) & (target <= high)
    assert float((weight * inside).sum() / weight.sum()) == pytest.approx(0.68, abs=1e-3)
    assert torch.allclose((high - middle) / (middle - low), torch.tensor(5 / 3))
