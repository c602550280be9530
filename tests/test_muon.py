"""The optimiser Muon."""

from functools import partial

import torch
from torch.optim import Muon

from topmass.training.muon import FastMuon
from topmass.training.recipe import Recipe


def test_muon_makes_the_steps_of_matrices_orthogonal_and_is_adamw_for_all_else():
    rng = torch.Generator().manual_seed(1)
    start = [torch.randn(*shape, generator=rng) for shape in ((24, 64), (24, 8), (64,))]
    # One direction of the matrix has nearly all of the gradient.
    gradients = [each.clone() for each in start]
    gradients[0] += 0.5 * torch.outer(start[0][:, 0], start[0][0])

    def stepped(optimizer: str) -> list[torch.Tensor]:
        parameters = [torch.nn.Parameter(each.clone()) for each in start]
        made = Recipe(1, 1, 0.01, optimizer=optimizer, weight_decay=0.1).make_optimizer(parameters, fused=False)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        made.step()
        return [each.detach() for each in parameters]

    muon, adamw = stepped("muon"), stepped("adamw")
    assert torch.equal(muon[1], adamw[1]) and torch.equal(muon[2], adamw[2])
    sizes = torch.linalg.svdvals(muon[0] - start[0] * (1 - 0.01 * 0.1)) / (0.01 * 0.2 * 64**0.5)
    assert sizes.min() > 0.4 and sizes.max() < 1.3
    whole = torch.linalg.svdvals(gradients[0])
    assert whole.max() > 5 * whole.min()


def test_in_bfloat16_the_steps_of_muon_are_those_of_torch(monkeypatch):
    monkeypatch.setattr("topmass.training.muon.find_precision", lambda *_: torch.bfloat16)
    rng = torch.Generator().manual_seed(1)
    start, *gradients = torch.randn(4, 48, 32, generator=rng).unbind()
    pairs = []
    for optimizer in (partial(FastMuon, weight_decay=0.1), partial(Muon, adjust_lr_fn="match_rms_adamw")):
        matrices = [torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.T.clone())]
        stepped = optimizer(matrices, 0.01)
        for gradient in gradients:
            matrices[0].grad, matrices[1].grad = gradient.clone(), gradient.T.clone()
            stepped.step()
        pairs.append(matrices)
    assert all(torch.equal(*both) for both in zip(*pairs, strict=True))
