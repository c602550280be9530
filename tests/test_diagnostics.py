"""Messages for failed, hopeless or over-fitted trainings."""

import numpy as np
import pytest
import torch

from topmass.files import BadInput
from topmass.training.diagnostics import overfitting_message, translate_torch_errors, worse_than_constant_message
from topmass.training.state import ValidationRecord


def history(*errors_and_losses: tuple[float, float]) -> list[ValidationRecord]:
    return [
        ValidationRecord(epoch, 1, loss, 1, mae, 1, 1, 1, 1) for epoch, (mae, loss) in enumerate(errors_and_losses, 1)
    ]


def test_over_fitting_is_a_rising_error_with_a_falling_loss():
    message = overfitting_message(history((60, 3), (50, 2), (51, 1)))
    assert message.startswith(
        "over-fitted: the validation MAE was best after epoch 2, 50.00 GeV, and has risen to 51.00"
    )
    # Still falling; a rise by chance; a loss that rises too.
    for rows in (history((60, 3), (50, 2)), history((50, 2), (50.4, 1)), history((50, 2), (60, 3))):
        assert overfitting_message(rows) is None


def test_a_constant_prediction_is_the_weighted_median():
    mass, weight = np.array([100.0, 200, 300]), np.array([1.0, 1, 3])
    assert worse_than_constant_message(59.9, mass, weight, 0.1) is None
    message = worse_than_constant_message(60, mass, weight, 0.1)
    assert "60.00 GeV, and guessing 300.0 GeV for every jet has 60.00 GeV; try a learning rate below 0.1" in message


@pytest.mark.parametrize(("batch", "advice"), [(1000, "recipe.batch_size 1000: try 512"), (1, "a single jet")])
def test_too_little_memory_suggests_the_next_power_of_two(batch, advice):
    for error in (torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("[enforce] can't allocate memory: 1")):
        with pytest.raises(BadInput, match=f"^out of memory with {advice}$"), translate_torch_errors(batch):
            raise error
    with pytest.raises(RuntimeError, match=r"^another$"), translate_torch_errors(batch):
        raise RuntimeError("another")
