"""Draws by event, and the split."""

import numpy as np
import pytest

from topmass.preprocessing.split import SPLITS, assign_split, hash_uniform

FRACTIONS = {"train": 0.9, "validation": 0.05, "test": 0.05}


def test_draws_do_not_depend_on_the_order_of_the_events():
    event = np.arange(1000)
    order = np.random.default_rng(0).permutation(event)
    assert np.array_equal(hash_uniform("gun", "split", event)[order], hash_uniform("gun", "split", event[order]))


def test_draws_are_uniform_and_those_of_two_purposes_independent():
    event = np.arange(200_000) + 10_000_000
    first, second = hash_uniform("gun", "split", event), hash_uniform("gun", "unbias", event)
    for draw in (first, second):
        counts = np.histogram(draw, 20, (0, 1))[0]
        assert ((counts - 10_000) ** 2).sum() / 10_000 < 45  # χ² of 19 degrees of freedom: one in a thousand above 43.8
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01


def test_draws_of_two_samples_differ():
    assert not np.array_equal(hash_uniform("a", "split", np.arange(10)), hash_uniform("b", "split", np.arange(10)))


def test_all_jets_of_an_event_are_on_one_side():
    event = np.repeat(np.arange(5000), 2)
    split = assign_split("gun", event, FRACTIONS)
    assert np.array_equal(split[::2], split[1::2])


def test_splits_have_their_fractions():
    split = assign_split("gun", np.arange(100_000), FRACTIONS)
    assert np.bincount(split) / 100_000 == pytest.approx([FRACTIONS[name] for name in SPLITS], abs=0.004)


def test_an_event_keeps_its_side_when_others_are_added():
    few, many = (assign_split("gun", np.arange(events), FRACTIONS) for events in (100, 10_000))
    assert np.array_equal(few, many[:100])
