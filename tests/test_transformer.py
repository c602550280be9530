"""What the towers of a jet are to a network of attention, one by one and two by two."""

import fastjet
import pytest
import torch

from test_kinematics import EMPTY, made_up
from test_networks import SMALL, batch_of, network_for
from topmass.features.hits import decode_hits
from topmass.features.leading_towers import (
    MIN_PAIR_VALUE,
    TOWER_COLUMNS,
    leading_towers,
    pairwise_features,
    tower_features,
)
from topmass.features.towers import build_towers
from topmass.preprocessing.shards import Shard

SOME = 12


def towers_of(shard: Shard, count: int = SOME) -> torch.Tensor:
    return leading_towers(build_towers(decode_hits(batch_of(shard), shard.meta)), count)


def test_the_hardest_towers_come_first():
    shard = made_up()
    found, everything = towers_of(shard), build_towers(decode_hits(batch_of(shard), shard.meta))
    pt = torch.hypot(found[:, 0], found[:, 1])
    assert found.shape == (len(shard), TOWER_COLUMNS, SOME) and (pt.diff(dim=1) <= 0).all()
    assert torch.allclose(pt.double(), everything.pt.sort(dim=1, descending=True).values[:, :SOME], rtol=1e-6)
    assert (
        not found[EMPTY].any()
        and tower_features(found).isfinite().all()
        and pairwise_features(found[:, :4]).isfinite().all()
    )


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_terms_of_two_towers_are_those_of_fastjet(precision):
    momenta = towers_of(made_up())[0, :4]
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        found = pairwise_features(momenta[None])[0].exp().numpy()
    jets = [fastjet.PseudoJet(*map(float, momentum)) for momentum in momenta.T]
    for first, one in enumerate(jets):
        for second, other in enumerate(jets):
            if first != second:
                softer, r = min(one.pt(), other.pt()), one.delta_R(other)
                expected = [
                    r,
                    softer * r,
                    softer / (one.pt() + other.pt()),
                    max((one + other).m(), MIN_PAIR_VALUE) ** 2,
                ]
                assert found[first, second] == pytest.approx(expected, rel=2e-3)


def test_towers_are_standardised_by_those_that_there_are():
    shard = made_up()
    network = network_for(SMALL["transformer"] | {"towers": 100}, shard)
    _, towers = network.split_features(batch_of(shard))
    real = towers[:, 3] > 0
    assert 0 < real.float().mean() < 0.99
    assert torch.allclose(network.backbone.tower_norm(tower_features(towers))[real].mean(0), torch.zeros(1), atol=0.05)
