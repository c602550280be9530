"""Subjets on towers: what they are, particle flow's rules, and that nothing but the jet decides on them."""

from dataclasses import replace
from itertools import pairwise

import fastjet
import numpy as np
import pytest
import torch

from benchmarks.synthetic import make_synthetic_shard
from subjets_by_loop import slowly, towers_of
from test_kinematics import EMPTY, NAMES, REFERENCE, features_of, made_up
from topmass.features.feature_registry import JET_FEATURES, MOMENT_FEATURES, SUBJET_FEATURES
from topmass.features.feature_table import build_feature_table
from topmass.features.subjets import compute_subjet_features
from topmass.features.towers import MAX_TOWERS, build_towers
from topmass.layers import PIXEL_PHI
from topmass.preprocessing.shards import Shard

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KINDS = ("flow", "cells", "tracks", "pixel_hits", "track_number", "tower_number", "ecal_energy", "displaced_pt")
SCALES = (100.0, 5.0, 1.0, 10.0, 2.0, 3.0, 3.0, 3.0)


def subjets_of(shard: Shard, device: str = "cpu", batch_size: int = 1000) -> dict[str, np.ndarray]:
    return features_of(
        lambda hits, meta: compute_subjet_features(build_towers(hits), meta), SUBJET_FEATURES, shard, device, batch_size
    )


def shard_of(jets: list[list[tuple[str, int, int, float]]], ieta: float = 20, layers: tuple[str, ...] = NAMES) -> Shard:
    """Jets of hits: layer, row and column on the layer's own grid, value as stored, of a pixel."""
    shard = make_synthetic_shard(len(jets), layers)
    hits = [each for jet in jets for each in jet]
    cells = [shard.meta.cells[layers.index(name)] for name, *_ in hits]
    arrays = {
        "pixel": np.array(
            [row * (125 // cell) + column for (_, row, column, _), cell in zip(hits, cells, strict=True)]
        ),
        "layer": np.array([layers.index(name) for name, *_ in hits]),
        "value": np.array([value for *_, value in hits]),
    }
    arrays = {name: each.astype(shard.arrays[name].dtype) for name, each in arrays.items()}
    offset = np.cumsum([0, *(len(jet) for jet in jets)])
    meta = replace(shard.meta, scales=(1.0,) * len(layers), compression="none")
    return Shard(offset, shard.arrays | arrays | {"ieta": np.full(len(jets), ieta, "f4")}, meta)


def thinned(layers: tuple[str, ...] = NAMES, **changes) -> Shard:
    """Made-up jets of fewer than MOST towers, each d0 on the pixel of a track."""
    shard = made_up(layers, scales=tuple(SCALES[NAMES.index(name)] for name in layers), **changes)
    name, offset = np.array(layers)[shard.arrays["layer"]], shard.offset
    kept = np.random.default_rng(2).random(len(name)) < np.where(name == "ecal", 0.2, 0.8)
    for first, last in pairwise(offset):
        track, d0 = (first + np.flatnonzero(name[first:last] == layer) for layer in ("track_pt", "track_d0"))
        both = min(len(track), len(d0))
        shard.arrays["pixel"][d0[:both]] = shard.arrays["pixel"][track[:both]]
        kept[track] = True
        kept[d0[both:]] = False
    arrays = {name: shard.arrays[name][kept] for name in ("pixel", "layer", "value")}
    return Shard(np.concatenate([[0], np.cumsum(kept)])[offset], shard.arrays | arrays, shard.meta)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layers", [NAMES, REFERENCE, ("track_pt", "hcal"), ("ecal", "hcal"), ("ecal", "bpix1")])
def test_subjets_are_those_of_a_loop_and_of_fastjet(layers, device):
    shard = thinned(layers)
    found = subjets_of(shard, device)
    for jet in range(len(shard)):
        expected = slowly(shard, jet)
        for name, values in found.items():
            # FastJet rounds a mass at the jet's own η, where energies are larger.
            assert values[jet] == pytest.approx(expected[name], rel=1e-4, abs=1e-2 if "mass" in name else 1e-5), name


def flow_of(*hits: tuple[str, int, int, float]) -> dict[str, float]:
    """The hardest subjet of one jet of these hits, by the last words of the names."""
    numbers, name = subjets_of(shard_of([list(hits)], ieta=-0.5)), "subjets_0.3_"
    return {key.removeprefix(name): values[0] for key, values in numbers.items() if key.startswith(name)}


MIDDLE = {"track_pt": (62, 62), "ecal": (62, 62), "hcal": (12, 12)}


@pytest.mark.parametrize(
    ("track", "ecal", "hcal", "expected"),
    [
        (100, 0, 80, 100),  # as the track has it: the calorimeters saw its 80 %
        (100, 0, 89, 100),  # 9 GeV more are less than √100
        (100, 0, 95, 115),  # 15 GeV more are neutral
        (100, 30, 80, 130),  # HCAL saw the track, and ECAL a photon
        (100, 50, 60, 130),  # ECAL has 20 of the track's 80
        (100, 10, 10, 100),  # less than the track's
        (0, 30, 20, 50),  # no track: cells
        (0, 0, 20, 20),
        (100, 0, 0, 100),
    ],
)
def test_particle_flow_takes_tracks_and_what_the_calorimeters_see_beyond(track, ecal, hcal, expected):
    energies = {"track_pt": track, "ecal": ecal, "hcal": hcal / 25}
    found = flow_of(*((name, *MIDDLE[name], value) for name, value in energies.items()))
    assert found["flow_pt_1"] == pytest.approx(expected, rel=1e-3)
    assert found["cells_pt_1"] == pytest.approx(ecal + hcal, rel=1e-3)
    assert found["tracks_pt_1"] == pytest.approx(track, rel=1e-3)
    assert found["track_number_1"] == (track > 0) and found["tower_number_1"] == 1


def test_hcal_is_where_the_tracks_are_or_else_the_crystals():
    assert flow_of(("track_pt", 64, 60, 10), ("hcal", 12, 12, 2))["flow_phi_1"] == pytest.approx(-2 * PIXEL_PHI)
    assert flow_of(("ecal", 64, 60, 10), ("hcal", 12, 12, 2))["flow_phi_1"] == pytest.approx(-2 * PIXEL_PHI)
    assert flow_of(("hcal", 12, 13, 2))["flow_phi_1"] == pytest.approx(5 * PIXEL_PHI)


def test_a_track_is_displaced_by_its_own_d0():
    near = [("track_pt", 62, 62, 10), ("track_d0", 62, 62, -0.1), ("track_pt", 62, 63, 30), ("track_d0", 62, 63, 0.01)]
    assert flow_of(*near)["displaced_pt_1"] == pytest.approx(10 * 2, rel=1e-3)
    assert flow_of(*near, ("track_pt", 61, 62, 4), ("track_d0", 61, 62, 5))["displaced_pt_1"] == pytest.approx(
        32, rel=1e-3
    )


def test_far_from_each_other_they_are_those_of_anti_kt():
    rng, middles = np.random.default_rng(5), [(30, 30), (30, 92), (92, 30), (92, 92), (62, 62)]
    jets = [
        [
            ("ecal", *(middle + rng.integers(-6, 7, 2)), np.float16(energy))
            for middle in middles
            for energy in (100, *rng.uniform(0.1, 5, 7))
        ]
        for _ in range(20)
    ]
    shard = shard_of([list({hit[1:3]: hit for hit in jet}.values()) for jet in jets], ieta=30)
    numbers = subjets_of(shard)
    for jet in range(len(shard)):
        towers = [tower["momenta"]["flow"] for tower in towers_of(shard, jet)]
        clustered = fastjet.ClusterSequence(towers, fastjet.JetDefinition(fastjet.antikt_algorithm, 0.3))
        expected = sorted((each.pt(), each.m()) for each in clustered.inclusive_jets())
        found = sorted(
            tuple(numbers[f"subjets_0.3_flow_{what}_{k}"][jet] for what in ("pt", "mass")) for k in range(1, 6)
        )
        assert np.array(found) == pytest.approx(np.array(expected), rel=1e-3)


def close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert values == pytest.approx(expected[name], rel=1e-5, abs=1e-3 if "mass" in name else 1e-5), name


@pytest.mark.parametrize("batch_size", [1, 7, 20])
def test_neither_order_nor_batch_decides(batch_size):
    shard, rng = made_up(), np.random.default_rng(3)
    order = np.concatenate([rng.permutation(np.arange(*ends)) for ends in pairwise(shard.offset)])
    arrays = {name: shard.arrays[name][order] for name in ("pixel", "layer", "value")}
    close(subjets_of(replace(shard, arrays=shard.arrays | arrays), batch_size=batch_size), subjets_of(shard))


def test_a_value_of_zero_changes_nothing():
    shard, rng = thinned(), np.random.default_rng(4)
    zeros = len(shard) * 50
    layer = rng.integers(0, len(NAMES), zeros)
    added = {"layer": layer, "pixel": rng.integers(0, np.where(layer == 4, 625, 15625)), "value": np.zeros(zeros)}
    places = np.repeat(shard.offset[1:], 50)
    arrays = {
        name: np.insert(shard.arrays[name], places, each.astype(shard.arrays[name].dtype))
        for name, each in added.items()
    }
    offset = shard.offset + 50 * np.arange(len(shard) + 1)
    close(subjets_of(Shard(offset, shard.arrays | arrays, shard.meta)), subjets_of(shard))


def test_a_jet_without_a_value_or_with_one_has_zeros_for_what_it_lacks():
    assert all(values[EMPTY] == 0 for values in subjets_of(made_up()).values())
    assert all((values == 0).all() for values in subjets_of(shard_of([[], []])).values())
    found = subjets_of(shard_of([[("ecal", 62, 62, 20)], [("bpix1", 62, 62, 3)]]))
    assert found["subjets_0.3_flow_pt_1"][0] > 1 and found["subjets_0.15_tower_number_1"][0] == 1
    assert all(values[1] == 0 for values in found.values())


@pytest.mark.parametrize(
    ("layers", "position", "kinds"),
    [
        (NAMES, True, "flow cells tracks pixel_hits track_number tower_number ecal_energy displaced_pt"),
        (REFERENCE, True, "flow cells tracks track_number tower_number ecal_energy"),
        (REFERENCE, False, "tracks track_number tower_number ecal_energy"),
        (("ecal", "hcal", "bpix2"), True, "flow cells pixel_hits tower_number ecal_energy"),
        (("track_pt", "track_d0"), True, "flow tracks track_number tower_number displaced_pt"),
        (("ecal", "track_d0"), True, "flow cells tower_number ecal_energy"),
        (("track_d0", "bpix1", "bpix2"), True, ""),
    ],
)
def test_what_jets_do_not_have_is_left_out(layers, position, kinds):
    found = subjets_of(made_up(layers, position=position))
    have = {name for name in KINDS if any(f"_{name}_" in each for each in found)}
    assert have == set(kinds.split())


def test_without_tracks_particle_flow_is_the_cells():
    found = subjets_of(made_up(("ecal", "hcal")))
    for name, values in found.items():
        if "_flow_" in name and name.replace("_flow_", "_cells_") in found:
            assert values.tolist() == found[name.replace("_flow_", "_cells_")].tolist()


def test_of_more_towers_than_are_kept_the_softest_are_lost():
    soft = np.random.default_rng(6).permutation(MAX_TOWERS + 40) < 40
    hits = [("hcal", *divmod(tower, 25), 0.125 if soft[tower] else 2.0) for tower in range(MAX_TOWERS + 40)]
    kept = [hit for hit in hits if hit[3] == 2]
    close(subjets_of(shard_of([hits], layers=REFERENCE)), subjets_of(shard_of([kept], layers=REFERENCE)))


def test_a_table_has_the_numbers_of_subjets_in_their_order():
    shard = thinned()
    table = build_feature_table([shard], with_subjets=True)
    found = dict(zip((each.name for each in table.features), table.values.T, strict=True))
    close({name: found[name] for name in subjets_of(shard)}, subjets_of(shard))


def test_torch_has_a_deterministic_way():
    shard = made_up()
    expected = subjets_of(shard)
    torch.use_deterministic_algorithms(True)
    try:
        found = subjets_of(shard)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all((values == found[name]).all() for name, values in expected.items())


def test_each_number_has_a_name_of_its_own_a_unit_and_a_meaning():
    names = [each.name for each in MOMENT_FEATURES + SUBJET_FEATURES + JET_FEATURES]
    assert len(names) == len(set(names)) and len(SUBJET_FEATURES) == 281
    assert all(each.unit and each.meaning for each in SUBJET_FEATURES)
