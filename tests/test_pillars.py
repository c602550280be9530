"""What towers are told by their hits."""

import torch
from torch.nn import functional

from test_kinematics import made_up
from test_networks import SMALL, batch_of, network_for
from topmass.layers import TOWER
from topmass.learning.feeding.batches import scatter
from topmass.preprocessing.scaling import restore_values


def test_a_tower_is_told_what_a_convolution_of_the_dense_image_finds_in_it():
    shard = made_up()
    network, batch = network_for(SMALL["pillars"], shard), batch_of(shard)
    layers, coarse = len(shard.meta.layers), torch.tensor(shard.meta.cells) > 1
    stored = scatter(batch, shard.meta)
    # A cell as large as a tower tells it once, and not by each of its pixels.
    first = torch.zeros_like(stored[0, 0])
    first[::TOWER, ::TOWER] = 1
    stored = torch.where(coarse[:, None, None], stored * first, stored)
    images = torch.cat([stored, (stored != 0).float()], dim=1)
    kernel = network.meaning.weight.view(layers, TOWER, TOWER, 2, -1).permute(4, 3, 0, 1, 2).flatten(1, 2)
    with torch.no_grad():
        told, sums = network.towers(batch)
        expected = functional.conv2d(images, kernel, stride=TOWER)
    assert torch.allclose(told.permute(0, 3, 1, 2), expected, atol=1e-5) and expected.std() > 0.01
    sizes = restore_values(stored, torch.ones_like(stored), shard.meta.compression).abs()
    assert torch.allclose(sums.permute(0, 3, 1, 2), functional.avg_pool2d(sizes, TOWER, divisor_override=1), atol=1e-5)
