"""Distributions of jets: what they are, that parts add up to the whole, and what is made of two that differ."""

import json

import numpy as np
import pytest

from conftest import make_jets
from topmass.layers import LAYERS
from topmass.preprocessing.distribution import Distribution, JetSummary, summarize_shard
from topmass.preprocessing.distribution_shift import compare_distributions, shift_error, shift_table
from topmass.preprocessing.shard_builder import ShardBuilder
from topmass.preprocessing.shards import Shard, ShardMeta

META = ShardMeta(
    layers=("hcal", "ecal", "track_pt"), cells=(5, 1, 1), scales=(30.0, 40.0, 50.0),
    zero_suppression=1e-5, compression="log", statistics="none",
)  # fmt: skip


def shard_of(jets: int, seed: int = 0) -> Shard:
    batch = make_jets(jets, seed)
    return ShardBuilder("", LAYERS, META).to_shard(batch, np.arange(jets), np.ones(jets))


@pytest.mark.parametrize("sign", [1, -1])
def test_quantiles_are_those_of_numpy_to_two_percent(sign):
    values = sign * np.random.default_rng(1).lognormal(0, 3, 10_000)
    found = Distribution.of(values, 10)
    for share in (0.05, 0.5, 0.95):
        assert found.quantile(share) == pytest.approx(np.quantile(np.abs(values), share), rel=0.03)
    assert (found.low, found.high) == (np.float32(values.min()), np.float32(values.max()))
    assert (found.jets, found.values, found.negative) == (10, 10_000, 10_000 * (sign < 0))
    assert found.outside(0, np.quantile(np.abs(values), 0.8)) == pytest.approx(0.2, abs=0.01)


def test_a_summary_has_the_values_in_their_units_and_the_numbers_per_jet():
    batch, found = make_jets(50), summarize_shard(shard_of(50))
    for name in META.layers:
        values = batch.value[batch.layer == [layer.name for layer in LAYERS].index(name)]
        assert found.layers[name].quantile(0.5) == pytest.approx(np.median(values), rel=0.1)
        assert found.layers[name].values == len(values) and found.layers[name].jets == found.jets == 50
    for name in ("mass", "pt", "ieta", "iphi"):
        assert found.numbers[name].high == getattr(batch, name).max()
    ecal, hcal = (batch.layer == [layer.name for layer in LAYERS].index(name) for name in ("ecal", "hcal"))
    energy = np.add.reduceat(batch.value * (ecal + 25.0 * hcal), batch.offset[:-1])
    et = energy / np.cosh((batch.ieta + 0.5) * 0.0174)
    assert found.numbers["et"].high == pytest.approx(et.max(), rel=1e-2)


def test_parts_add_up_to_the_whole_and_survive_json():
    whole, parts = summarize_shard(shard_of(50)), JetSummary()
    for jets in np.split(np.arange(50), [20, 21]):
        parts.add(JetSummary.parse(json.loads(json.dumps(summarize_shard(shard_of(50).take(jets)).dump()))))
    assert json.dumps(parts.dump(), sort_keys=True) == json.dumps(whole.dump(), sort_keys=True)
    assert len(json.dumps(whole.dump())) < 40_000


def test_nothing_is_compared_with_something():
    some, nothing = summarize_shard(shard_of(20)), summarize_shard(shard_of(20).without_values().take(np.arange(0)))
    assert (
        len(shift_table(some, nothing)) > 3
        and len(shift_table(nothing, some)) >= 3
        and shift_error(nothing, some) is None
    )
    assert {row.verdict for row in compare_distributions(some, some)} == {"alike", "predicted"}
