"""Losses and learning-rate schedules."""

import math

import numpy as np
import pytest
import torch

from topmass.training.recipe import Recipe

MASSES = torch.tensor([0.2, 0.5, 0.9])


def test_losses_are_what_their_names_say():
    predicted = MASSES + torch.tensor([0.1, -0.01, 0.0])
    error = (predicted - MASSES).abs()

    def loss(name, **more):
        return Recipe(1, 1, 1.0, loss=name, **more).loss_per_jet(predicted[:, None], MASSES)

    assert torch.equal(loss("mae"), error)
    assert torch.allclose(loss("relative"), error / MASSES)
    assert torch.allclose(loss("log_cosh"), 0.05 * torch.log(torch.cosh(error / 0.05)), atol=1e-7)
    # Below 25 GeV, 0.05, half the square; above it linear.
    assert torch.allclose(loss("huber", huber_delta=25), torch.tensor([0.05 * (0.1 - 0.025), 0.5e-4, 0]), atol=1e-7)
    assert torch.allclose(loss("log"), (predicted / MASSES).log().abs(), atol=1e-7)
    far = Recipe(1, 1, 1.0, loss="log_cosh").loss_per_jet(torch.tensor([[1e4]]), torch.tensor([0.0]))
    assert far.item() == pytest.approx(1e4 - 0.05 * math.log(2))


def test_the_loss_of_the_logarithm_is_finite_and_points_to_the_mass_from_any_output():
    predicted = torch.tensor([[-3.0], [0.0], [0.05], [0.0999], [0.1001], [0.19], [0.21], [5.0]], requires_grad=True)
    losses = Recipe(1, 1, 1.0, loss="log").loss_per_jet(predicted, torch.full((8,), 0.2))
    losses.sum().backward()
    slope = predicted.grad[:, 0]
    assert torch.isfinite(losses).all() and (slope[:6] < 0).all() and (slope[6:] > 0).all()
    # Where the tangent begins, at 50 GeV, neither the loss nor its slope jumps.
    assert losses[3].item() == pytest.approx(losses[4].item(), abs=0.01)
    assert slope[3].item() == pytest.approx(slope[4].item(), rel=0.01) and slope[0] == slope[2]


def test_a_tilted_loss_is_the_absolute_error_but_for_the_side_that_the_middle_is_on():
    def loss(predicted, target, asymmetry=0.4):
        outputs = torch.tensor([[predicted / 500]])
        return (
            Recipe(1, 1, 1.0, loss="asymmetric_mae", asymmetry=asymmetry)
            .loss_per_jet(outputs, torch.tensor([target / 500]))
            .item()
        )

    assert loss(450, 500) == pytest.approx(1.4 * 0.1) and loss(550, 500) == pytest.approx(0.6 * 0.1)
    assert loss(135, 85) == pytest.approx(1.4 * 0.1) and loss(35, 85) == pytest.approx(0.6 * 0.1)
    assert [loss(242.5, 292.5), loss(342.5, 292.5), loss(450, 500, asymmetry=0)] == pytest.approx(3 * [0.1])
    # No mass is so far away that an error would be a gain.
    assert loss(5000, 1000, asymmetry=0.99) > 0


def test_what_a_tilted_loss_says_of_jets_that_do_not_show_their_mass_is_farther_from_the_middle():
    """Of jets of any mass the middle; of heavy ones more than their median, and of light ones less."""
    recipe, outputs = Recipe(1, 1, 1.0, loss="asymmetric_mae"), torch.linspace(0, 1, 501)

    def best(masses):
        mean = torch.stack([recipe.loss_per_jet(each.expand(len(masses), 1), masses).mean() for each in outputs])
        return 500 * float(outputs[mean.argmin()])

    assert best(torch.linspace(85, 500, 401) / 500) == pytest.approx(292.5, abs=1)
    assert best(torch.linspace(300, 500, 401) / 500) > 410 and best(torch.linspace(85, 285, 401) / 500) < 175


def test_a_cosine_rises_and_falls_to_zero():
    recipe = Recipe(10, 1, 0.1, schedule="cosine", warmup_epochs=2)
    rates = [recipe.cosine_lr(step, 10) for step in range(100)]
    assert rates[0] == pytest.approx(0.1 / 20) and max(rates) == rates[19] == pytest.approx(0.1)
    assert rates[60] == pytest.approx(0.05) and 0 < rates[-1] < 1e-4
    assert np.all(np.diff(rates[:20]) > 0) and np.all(np.diff(rates[20:]) < 0)
    assert Recipe(1, 1, 0.1, schedule="cosine", warmup_epochs=0).cosine_lr(0, 10) == 0.1


def test_the_density_of_the_split_normal_loss_integrates_to_one_and_has_the_mode_of_the_outputs():
    masses = torch.linspace(0, 1, 20_001)
    outputs = torch.tensor([[0.32, 0.36, 0.46]]).expand(len(masses), 3)
    recipe = Recipe(1, 1, 1.0, loss="split_normal", quantiles=(0.16, 0.5, 0.84))
    density = (-recipe.loss_per_jet(outputs, masses)).exp()
    assert density.sum().item() / 20_000 == pytest.approx(1, abs=1e-3)
    assert masses[density.argmax()].item() == pytest.approx(0.36, abs=1e-3)
    assert density[masses < 0.36].sum() / density.sum() == pytest.approx(0.042 / 0.144, abs=0.01)


def test_the_split_normal_loss_is_finite_for_an_interval_without_width():
    outputs = torch.full((1, 3), 0.3, requires_grad=True)
    loss = Recipe(1, 1, 1.0, loss="split_normal", quantiles=(0.16, 0.5, 0.84)).loss_per_jet(outputs, torch.ones(1))
    loss.sum().backward()
    assert loss.isfinite().all() and outputs.grad.isfinite().all()


def test_the_loss_of_quantiles_is_least_at_the_quantiles():
    target = torch.linspace(0, 1, 101)
    recipe = Recipe(1, 1, 1.0, quantiles=[0.16, 0.5, 0.84])

    def loss(*outputs: float) -> float:
        return float(recipe.loss_per_jet(torch.tensor([outputs]).expand(101, 3), target).mean())

    best = loss(0.16, 0.5, 0.84)
    for moved in ((0.13, 0.5, 0.84), (0.19, 0.5, 0.84), (0.16, 0.47, 0.84), (0.16, 0.53, 0.84), (0.16, 0.5, 0.87)):
        assert loss(*moved) > best
    alone = recipe.loss_per_jet(torch.tensor([[0.3, 0.3, 0.3]]), torch.tensor([0.3])) + 0
    assert float(alone) == 0
    error = Recipe(1, 1, 1.0).loss_per_jet(torch.tensor([[0.3]]), torch.tensor([0.5]))
    middle = Recipe(1, 1, 1.0, quantiles=[0.5]).loss_per_jet(torch.tensor([[0.3]]), torch.tensor([0.5]))
    assert torch.allclose(middle, error)
