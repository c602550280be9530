"""Scales, suppression, compression."""

import numpy as np
import pytest
import torch

from topmass.preprocessing.scaling import denormalize, histogram_quantile, magnitude_histogram, normalize


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999, 1.0])
def test_the_quantile_of_a_histogram_is_that_of_the_values(share):
    values = np.random.default_rng(1).lognormal(0, 3, 50_000).astype("f4")
    exact = np.quantile(values, share, method="inverted_cdf")
    assert exact <= histogram_quantile(magnitude_histogram(values), share) <= exact * 1.002


def test_histograms_of_parts_add_up_to_that_of_the_whole():
    values = np.random.default_rng(2).normal(0, 5, 999).astype("f4")
    assert np.array_equal(magnitude_histogram(values), sum(map(magnitude_histogram, np.array_split(values, 4))))


def test_zeros_are_not_counted_and_signs_do_not_matter():
    assert np.array_equal(magnitude_histogram(np.float32([-2, 0, 3])), magnitude_histogram(np.float32([3, 2])))


@pytest.mark.parametrize("compression", ["none", "log"])
def test_signed_values_are_suppressed_by_magnitude_and_clipped_on_both_sides(compression):
    value = np.float32([-30, -0.5, -1e-6, 1e-6, 0.5, 30])
    scaled, kept = normalize(value, np.full(6, 10, "f4"), 1e-5, compression)
    assert kept.tolist() == [True, True, False, False, True, True]
    assert scaled[0] == pytest.approx(-1) and scaled[-1] == pytest.approx(1)
    assert np.allclose(scaled, -scaled[::-1])


def test_compression_keeps_the_order_and_the_range():
    value = np.linspace(-1, 1, 101, dtype="f4")
    scaled, _ = normalize(value, np.ones(101, "f4"), 0, "log")
    assert (np.diff(scaled) > 0).all() and np.abs(scaled).max() == pytest.approx(1)


def test_without_compression_values_are_divided_by_the_scale():
    scaled, _ = normalize(np.float32([1, 2]), np.float32([4, 4]), 0, "none")
    assert scaled.tolist() == [0.25, 0.5]


@pytest.mark.parametrize("compression", ["none", "log"])
@pytest.mark.parametrize("stored", [np.float32, np.float16])
def test_values_come_back_but_for_what_was_clipped_or_rounded(compression, stored):
    rng = np.random.default_rng(2)
    scale = rng.uniform(0.1, 50, 5000).astype("f4")
    value = (scale * rng.lognormal(-3, 1.5, 5000) * rng.choice([-1, 1], 5000)).astype("f4")
    scaled, _ = normalize(value, scale, 0, compression)
    scaled = scaled.astype(stored)
    expected = np.clip(value, -scale, scale)
    # A half float has 11 bits; a logarithm makes a relative error of what is absolute.
    rounding = 1e-4 if stored is np.float32 else 5e-3
    back = denormalize(scaled.astype("f4"), scale, compression)
    assert back == pytest.approx(expected, rel=rounding) and (np.sign(back) == np.sign(expected)).all()
    tensors = denormalize(torch.from_numpy(scaled).float(), torch.from_numpy(scale), compression)
    assert tensors.dtype == torch.float32 and tensors.numpy() == pytest.approx(back, rel=1e-5)


def test_a_value_of_zero_stays_zero():
    assert (denormalize(np.float32([0, -0.0]), np.float32([3, 3]), "log") == 0).all()
