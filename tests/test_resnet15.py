"""The network `resnet15`."""

import pytest
import torch

from topmass.layers import SIDE
from topmass.models.resnet15 import ResNetBody


def test_resnet15_is_the_network_of_the_reference():
    network = ResNetBody(3)
    assert sum(weights.numel() for weights in network.parameters()) == 86_243
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len([each for each in convolutions if each.kernel_size != (1, 1)]) == 15 and all(
        each.bias is not None for each in convolutions
    )
    sizes = []
    for module in (network.stem, network.blocks[0], network.blocks[6]):
        module.register_forward_hook(lambda module, given, output: sizes.append(tuple(output.shape[1:])))
    assert network(torch.zeros(2, 3, SIDE, SIDE), torch.zeros(2, 2)).shape == (2, 1)
    assert sizes == [(16, 121, 121), (16, 60, 60), (32, 30, 30)]


def test_the_position_enters_the_prediction_linearly():
    network = ResNetBody(1).eval()
    image = torch.rand(1, 1, SIDE, SIDE)
    weights = network.head.weight[0, -2:].detach()
    moved = network(image, torch.tensor([[0.5, 0.25]])) - network(image, torch.zeros(1, 2))
    assert moved.item() == pytest.approx(float(0.5 * weights[0] + 0.25 * weights[1]), abs=1e-6)


def test_pooling_adds_up_squares_of_pixels():
    network = ResNetBody(2, downsample=2)
    seen = []
    network.stem.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    image = torch.rand(1, 2, SIDE, SIDE)
    network(image, torch.zeros(1, 2))
    assert seen[0].shape == (1, 2, 63, 63) and float(seen[0].sum()) == pytest.approx(float(image.sum()), rel=1e-4)
    assert float(seen[0][0, 1, 2, 3]) == pytest.approx(float(image[0, 1, 4:6, 6:8].sum()))
