"""What holds for networks that take a jet as a set of parts: of towers, or of particles."""

import numpy as np
import pytest
import torch

from test_kinematics import made_up
from test_networks import SMALL, batch_of, network_for
from topmass.models.network import PRIOR_MEAN_MASS
from topmass.models.trained_model import build_network


@pytest.fixture(params=["transformer", "prongs"])
def settings(request) -> dict:
    return SMALL[request.param]


def test_a_jet_has_the_same_mass_in_any_order_of_its_parts(settings):
    shard = made_up()
    network = network_for(settings, shard)
    numbers, parts = network.split_features(batch_of(shard))
    order = torch.from_numpy(np.random.default_rng(1).permutation(parts.shape[2]))
    with torch.no_grad():
        assert torch.allclose(
            network.backbone(numbers, parts[:, :, order]), network.backbone(numbers, parts), atol=1e-5
        )


def test_places_without_a_part_change_nothing(settings):
    shard = made_up()
    network = network_for(settings, shard)
    numbers, parts = network.split_features(batch_of(shard))
    with torch.no_grad():
        expected = network.backbone(numbers, parts)
        padded = torch.cat([parts, torch.zeros(len(shard), parts.shape[1], 5)], dim=2)
        found = network.backbone(numbers, padded)
    has = parts.flatten(1).any(1)
    assert has.sum() == len(shard) - 1
    assert torch.allclose(found[has], expected[has], atol=1e-5)


def test_an_untrained_network_says_the_mean_mass(settings):
    shard = made_up()
    network = build_network(settings, shard.meta, 1)
    network.fit_input_norm(batch_of(shard))
    assert torch.allclose(network(batch_of(shard)), torch.tensor(PRIOR_MEAN_MASS))


def test_bfloat16_gives_nearly_the_same_mass(settings):
    shard = made_up()
    network = network_for(settings, shard)
    with torch.no_grad():
        expected = network(batch_of(shard))
        with torch.autocast("cpu", torch.bfloat16):
            found = network(batch_of(shard))
    assert found.dtype == torch.float32 and (found - expected).abs().mean() < 0.1 * expected.std()
