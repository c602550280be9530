"""Sums over sparse images: what they are, for which jets there are which, and that nothing else decides on them."""

import math
from collections.abc import Callable
from dataclasses import replace

import fastjet
import numpy as np
import pytest
import torch

from benchmarks.synthetic import make_synthetic_shard
from topmass.data import batches
from topmass.data.batches import SparseJets
from topmass.features.feature_registry import (
    CONES,
    JET_FEATURES,
    MOMENT_FEATURES,
    SUBJET_FEATURES,
    TRACK_CONES,
    Feature,
    available_features,
)
from topmass.features.feature_table import build_feature_table
from topmass.features.hits import decode_hits
from topmass.features.image_moments import compute_image_moments
from topmass.features.towers import assign_tower_slots, build_towers, sum_cells, tower_centres
from topmass.layers import LAYERS, PIXEL_ETA, PIXEL_PHI
from topmass.preprocessing.scaling import denormalize
from topmass.preprocessing.shards import Shard

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
NAMES = tuple(layer.name for layer in LAYERS)
REFERENCE = ("track_pt", "ecal", "hcal")
EMPTY = 3
"""A jet without a value."""


def made_up(layers: tuple[str, ...] = NAMES, jets: int = 20, **changes) -> Shard:
    """Jets with values of every size, some of them negative where the layer is signed; one jet has none."""
    shard = make_synthetic_shard(jets, layers)
    scales = tuple(3.0 + 10 * number for number in range(len(layers)))
    shard.meta = replace(shard.meta, **{"scales": scales, "compression": "log"} | changes)
    signed = np.array([layer.signed for layer in LAYERS if layer.name in layers])[shard.arrays["layer"]]
    shard.arrays["value"][signed] *= np.random.default_rng(1).choice([-1, 1], signed.sum()).astype("f2")
    shard.arrays["ieta"] = shard.arrays["ieta"].round() - 85
    length = np.diff(shard.offset)
    first, last = shard.offset[EMPTY], shard.offset[EMPTY + 1]
    length[EMPTY] = 0
    arrays = {name: np.delete(shard.arrays[name], slice(first, last)) for name in ("pixel", "layer", "value")}
    return Shard(np.concatenate([[0], np.cumsum(length)]), shard.arrays | arrays, shard.meta)


def features_of(
    compute: Callable, features: tuple[Feature, ...], shard: Shard, device: str, batch_size: int
) -> dict[str, np.ndarray]:
    """Return the features (N,) that `compute` computes from hits, by name."""
    jets, values = SparseJets.of(shard, torch.device("cpu")), []
    for first in range(0, len(shard), batch_size):
        index = torch.arange(first, min(first + batch_size, len(shard)))
        batch = jets.gather(index, int((jets.first[index + 1] - jets.first[index]).sum()))
        hits = decode_hits(batch.to(torch.device(device)), shard.meta)
        values.append(compute(hits, shard.meta).cpu().numpy())
    values = np.concatenate(values)
    assert values.dtype == np.float32 and np.isfinite(values).all()
    names = [feature.name for feature in available_features(features, shard.meta)]
    return dict(zip(names, values.T, strict=True))


def sums_of(shard: Shard, device: str = "cpu", batch_size: int = 1000) -> dict[str, np.ndarray]:
    return features_of(compute_image_moments, MOMENT_FEATURES, shard, device, batch_size)


def hits_of(shard: Shard, jet: int):
    """Layer, value of the whole cell, Δη and Δφ of each value of a jet."""
    for at in range(shard.offset[jet], shard.offset[jet + 1]):
        number = shard.arrays["layer"][at]
        cell = shard.meta.cells[number]
        row, column = divmod(int(shard.arrays["pixel"][at]), 125 // cell)
        value = float(
            denormalize(np.float64(shard.arrays["value"][at]), shard.meta.scales[number], shard.meta.compression)
        )
        value *= cell**2 if shard.meta.layers[number] == "hcal" else 1
        eta, phi = (((place + 0.5) * cell - 62.5) for place in (row, column))
        yield shard.meta.layers[number], value, eta * PIXEL_ETA, phi * PIXEL_PHI


def invariant(hits, eta: float = 0.0) -> tuple[float, float]:
    """Mass and pT of massless (pT, Δη, Δφ), around an axis at this η, as FastJet adds them up."""
    total = fastjet.PseudoJet(0, 0, 0, 0)
    for pt, delta, phi in hits:
        total += fastjet.PseudoJet(
            pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta + delta), pt * math.cosh(eta + delta)
        )
    return max(total.m(), 0), total.pt()


def slowly(shard: Shard, jet: int) -> dict[str, float]:
    """The same sums of one jet, one hit after the other."""
    hits, found = list(hits_of(shard, jet)), {}
    axis = (float(shard.arrays["ieta"][jet]) + 0.5) * PIXEL_ETA
    cells = [(value, eta, phi, math.hypot(eta, phi)) for name, value, eta, phi in hits if name in ("ecal", "hcal")]
    tracks = [(value, eta, phi, math.hypot(eta, phi)) for name, value, eta, phi in hits if name == "track_pt"]
    for r in CONES:
        inside = [(e / math.cosh(axis + eta), eta, phi) for e, eta, phi, distance in cells if distance < r]
        found[f"cells_mass_{r}"], found[f"cells_pt_{r}"] = invariant(inside, axis)
    for r in TRACK_CONES:
        inside = [(pt, eta, phi) for pt, eta, phi, distance in tracks if distance < r]
        found[f"tracks_mass_{r}"], found[f"tracks_pt_{r}"] = invariant(inside, axis)
        found[f"tracks_{r}"] = len(inside)
    for name in NAMES:
        found[f"{name}_hits"] = sum(layer == name for layer, *_ in hits)
    for name in ("ecal", "hcal"):
        found[f"{name}_energy"] = sum(value for layer, value, *_ in hits if layer == name)
    energy = sum(e for e, *_ in cells) or 1.0
    for name, weigh in {
        "mean_eta": lambda e, eta, phi, r: eta, "mean_phi": lambda e, eta, phi, r: phi,
        "mean_eta_eta": lambda e, eta, phi, r: eta**2, "mean_phi_phi": lambda e, eta, phi, r: phi**2,
        "mean_eta_phi": lambda e, eta, phi, r: eta * phi, "mean_r": lambda e, eta, phi, r: r,
        "mean_r_r_r": lambda e, eta, phi, r: r**3, "concentration": lambda e, eta, phi, r: e / energy,
    }.items():  # fmt: skip
        found[name] = sum(cell[0] * weigh(*cell) for cell in cells) / energy
    return found


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "changes", [{}, {"compression": "none"}, {"layers": REFERENCE}], ids=["log", "as they are", "three layers"]
)
def test_sums_are_those_of_a_loop_and_of_fastjet(changes, device):
    shard = made_up(**changes)
    found = sums_of(shard, device)
    for jet in range(len(shard)):
        expected = slowly(shard, jet)
        for name, values in found.items():
            # FastJet rounds a mass at the jet's own η, where energies are larger.
            assert values[jet] == pytest.approx(expected[name], rel=1e-5, abs=1e-2 if "mass" in name else 1e-6), name


def test_a_tower_counts_the_same_stored_once_or_pixel_by_pixel():
    once = made_up(REFERENCE)
    hcal = once.arrays["layer"] == 2
    row, column = np.divmod(once.arrays["pixel"].astype(int), 25)
    copies = np.where(hcal, 25, 1)
    here, step = np.repeat(np.arange(len(hcal)), copies), np.concatenate([np.arange(n) for n in copies])
    spread = (row[here] * 5 + step // 5) * 125 + column[here] * 5 + step % 5
    arrays = {name: once.arrays[name][here] for name in ("layer", "value")}
    arrays["pixel"] = np.where(hcal[here], spread, once.arrays["pixel"][here]).astype("u2")
    offset = np.concatenate([[0], np.cumsum(copies)])[once.offset]
    pixels = Shard(offset, once.arrays | arrays, replace(once.meta, cells=(1, 1, 1)))
    of_towers, of_pixels = sums_of(once), sums_of(pixels)
    for name in ("hcal_energy", "mean_eta", "mean_phi"):
        assert of_pixels[name] == pytest.approx(of_towers[name], rel=1e-5, abs=1e-6)
    assert of_pixels["cells_pt_1.6"] == pytest.approx(of_towers["cells_pt_1.6"], rel=0.02)
    assert of_pixels["hcal_hits"].tolist() == (25 * of_towers["hcal_hits"]).tolist()


@pytest.mark.parametrize("batch_size", [1, 7, 20])
def test_neither_order_nor_batch_decides(batch_size):
    shard, rng = made_up(), np.random.default_rng(3)
    order = np.concatenate(
        [rng.permutation(np.arange(*ends)) for ends in zip(shard.offset, shard.offset[1:], strict=False)]
    )
    arrays = {name: shard.arrays[name][order] for name in ("pixel", "layer", "value")}
    mixed = Shard(shard.offset, shard.arrays | arrays, shard.meta)
    expected = sums_of(shard)
    for name, values in sums_of(mixed, batch_size=batch_size).items():
        assert values == pytest.approx(expected[name], rel=1e-6, abs=1e-4 if "mass" in name else 1e-7), name


def test_a_jet_without_a_value_has_zeros():
    for name, values in sums_of(made_up()).items():
        assert np.isfinite(values).all() and values[EMPTY] == 0, name


def test_a_batch_without_a_value_has_zeros():
    shard = made_up().take(np.array([EMPTY, EMPTY]))
    assert all((values == 0).all() for values in sums_of(shard).values())


@pytest.mark.parametrize(
    ("layers", "position", "left_out"),
    [
        (NAMES, True, ()),
        (REFERENCE, True, ("track_dz_hits", "track_d0_hits", "bpix1_hits", "bpix2_hits", "bpix3_hits")),
        (("track_pt", "track_dz"), True, ("cells_mass_0.2", "mean_eta", "concentration", "ecal_hits", "hcal_energy")),
        (("ecal",), True, ("tracks_0.4", "tracks_mass_1.6", "hcal_hits", "hcal_energy")),
        (REFERENCE, False, ("cells_mass_0.2", "cells_pt_1.6")),
    ],
)
def test_what_jets_do_not_have_is_left_out_and_the_rest_stays(layers, position, left_out):
    shard = made_up(layers, position=position)
    found = sums_of(shard)
    assert not found.keys() & set(left_out)
    everything = sums_of(made_up(layers))
    for name, values in found.items():
        assert values.tolist() == everything[name].tolist(), name
    assert len(found) < len(MOMENT_FEATURES) or layers == NAMES


ROUGH = {
    "noise": lambda value, rng: rng.normal(0, 0.02, len(value)),
    "both signs": lambda value, rng: rng.uniform(-1, 1, len(value)),
    "sums of zero": lambda value, rng: np.where(np.arange(len(value)) % 2, 0.5, -0.5),
    "none above zero": lambda value, rng: -value,
    "as large as can be": lambda value, rng: np.ones(len(value)),
}
"""What files may have instead of these values, in units of the scale of each layer."""


def rough(kind: str, jets: int = 8, scale: float = 1e4) -> Shard:
    """Jets of which all crystals and towers have such values, and every other pixel of a part of the other layers."""
    rng, shard = np.random.default_rng(1), made_up(jets=jets)
    pixels = [
        np.arange((125 // cell) ** 2) if name in ("ecal", "hcal") else np.arange(7000, 8000, 2)
        for name, cell in zip(NAMES, shard.meta.cells, strict=True)
    ]
    layer = np.repeat(np.arange(len(pixels)), list(map(len, pixels)))
    arrays = {"pixel": np.tile(np.concatenate(pixels), jets).astype("u2"), "layer": np.tile(layer, jets).astype("u1")}
    arrays["value"] = ROUGH[kind](rng.exponential(0.1, len(arrays["pixel"])), rng).clip(-1, 1).astype("f2")
    meta = replace(shard.meta, scales=(scale,) * len(NAMES))
    return Shard(np.arange(jets + 1) * len(layer), shard.arrays | arrays, meta)


@pytest.mark.parametrize("kind", ROUGH)
def test_means_of_values_of_any_sign_stay_in_the_window_and_in_their_tower(kind):
    shard = rough(kind)
    found = sums_of(shard)
    farthest = math.hypot(62 * PIXEL_ETA, 62 * PIXEL_PHI)
    assert all((np.abs(found[name]) <= farthest).all() for name in ("mean_eta", "mean_phi", "mean_r"))
    jets = SparseJets.of(shard, torch.device("cpu"))
    hits = decode_hits(jets.gather(torch.arange(len(shard)), int(shard.offset[-1])), shard.meta)
    slot, number = assign_tower_slots(hits)
    _, *centroid, _, _ = sum_cells(hits._replace(jet=slot), number)
    for mean, middle, pixel in zip(centroid, tower_centres(number), (PIXEL_ETA, PIXEL_PHI), strict=True):
        assert ((mean - middle).abs() < 2.51 * pixel).all()
    towers = build_towers(hits)
    assert all(each.isfinite().all() for each in (*towers.momenta, towers.contents, towers.rapidity, towers.phi))
    assert towers.flow.neutral_fraction.min() >= 0 and towers.flow.neutral_fraction.max() <= 1


@pytest.fixture
def with_threads():
    """Have torch take so many threads, and in the end as many as before."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_a_table_has_sums_and_numbers_of_all_jets_in_order_with_any_number_of_threads(with_threads, monkeypatch):
    monkeypatch.setitem(batches.FEATURE_BATCH_SIZE, "cpu", 4)
    shards = [made_up(REFERENCE, jets) for jets in (20, 9)]
    shards[1].arrays["jet_mass"][2] = np.nan
    tables = []
    for threads, with_subjets in ((1, False), (3, False), (3, True)):
        with_threads(threads)
        tables.append(build_feature_table(shards, with_subjets))
        assert torch.get_num_threads() == threads
    assert tables[0].values.tobytes() == tables[1].values.tobytes()
    assert tables[2].select(tables[0].features).tobytes() == tables[0].values.tobytes()
    assert tables[2].features == available_features(MOMENT_FEATURES + SUBJET_FEATURES + JET_FEATURES, shards[0].meta)
    table = dict(zip((each.name for each in tables[0].features), tables[0].values.T, strict=True))
    assert list(table)[-len(JET_FEATURES) :] == ["pt", "eta", "abs_eta", "jet_mass", "softdrop_mass"]
    joined = Shard.join(shards).arrays
    assert np.array_equal(table["jet_mass"], joined["jet_mass"], equal_nan=True)
    assert table["eta"] == pytest.approx((joined["ieta"] + 0.5) * PIXEL_ETA, rel=1e-6)
    assert (table["eta"] < 0).any() and np.array_equal(table["abs_eta"], np.abs(table["eta"]))
    assert table["cells_mass_0.8"] == pytest.approx(
        np.concatenate([sums_of(shard)["cells_mass_0.8"] for shard in shards])
    )


def test_each_number_has_a_name_of_its_own_a_unit_and_a_meaning():
    names = [each.name for each in MOMENT_FEATURES + JET_FEATURES]
    assert len(names) == len(set(names)) == 44
    assert all(each.unit and each.meaning for each in MOMENT_FEATURES + JET_FEATURES)
