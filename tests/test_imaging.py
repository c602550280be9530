"""Images show what the detector read out: in the right pixel, with the right energy, and nothing else."""

import math

import numpy as np
import pytest

from simulation_settings import DETECTOR
from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE, TOWER
from topmass.simulation.calorimeters import read_calorimeters
from topmass.simulation.clustering import Jets
from topmass.simulation.detector import (
    DEPOSIT,
    DIFFUSE,
    HADRONIC,
    MINIMUM_IONISING,
    PIXEL_HIT,
    SHOWER,
    TRACK,
    DetectorSettings,
    Readout,
)
from topmass.simulation.imaging import Images, make_images

NOISY = DetectorSettings(**DETECTOR)
QUIET = NOISY._replace(ecal_noise=0.0, hcal_noise=0.0)
EVERYTHING = QUIET._replace(ecal_zero_suppression=0.0, hcal_zero_suppression=0.0)
TRACK_PT, TRACK_DZ, TRACK_D0, ECAL, HCAL, BPIX1, BPIX2, BPIX3 = range(8)
MIDDLE = SIDE // 2
TOWER_ETA, TOWER_PHI = TOWER * PIXEL_ETA, TOWER * PIXEL_PHI


def read(deposits: list = (), tracks: list = (), pixel_hits: list = ()) -> Readout:
    """A readout of one event."""
    columns = []
    tracks = [(*track, 0) for track in tracks]
    for rows, dtype in ((deposits, DEPOSIT), (tracks, TRACK), (pixel_hits, PIXEL_HIT)):
        columns += [np.array(list(rows), dtype), np.array([0, len(rows)])]
    return Readout(*columns)


def image(
    readout: Readout, axes: list = ((0.04, 0.04),), settings: DetectorSettings = EVERYTHING, seed: int = 1
) -> Images:
    """Images of jets of that event with these axes (η, φ)."""
    cells = read_calorimeters(readout, settings, np.random.default_rng(seed))
    eta, phi = np.array(axes, float).T.copy()
    unused = dict.fromkeys(Jets._fields, np.zeros(len(eta)))
    jets = Jets(**(unused | {"event": np.zeros(len(eta), int), "eta": eta, "phi": phi}))
    return make_images(readout, cells, jets)


def layer(images: Images, which: int, jet: int = 0) -> dict[int, float]:
    """Pixel → value of one layer of one image."""
    hits = images.hits[images.offset[jet] : images.offset[jet + 1]]
    hits = hits[hits["layer"] == which]
    return dict(zip(hits["pixel"].tolist(), hits["value"].tolist(), strict=True))


def busy_event(seed: int = 2, phi: float = 0.0) -> Readout:
    """Four hundred of everything around η = 0.5 and this φ."""
    rng, n = np.random.default_rng(seed), 400

    def around() -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(0.5, 0.4, n), np.angle(np.exp(1j * (phi + rng.normal(0, 0.4, n))))

    deposits = zip(rng.integers(0, 4, n), *around(), rng.exponential(5, n), strict=True)
    tracks = zip(*around(), rng.exponential(5, n), rng.normal(0, 1, n), rng.normal(0, 1, n), strict=True)
    return read(list(deposits), list(tracks), list(zip(rng.integers(0, 3, n), *around(), strict=True)))


@pytest.mark.parametrize(("eta", "phi"), [(0.01, 0.01), (-0.3, 3.1), (1.2, -3.14), (-1.9, -0.5)])
def test_the_hottest_tower_is_in_the_middle_of_a_window_that_is_aligned_with_towers(eta, phi):
    eta, phi = (math.floor(eta / TOWER_ETA) + 0.5) * TOWER_ETA, (math.floor(phi / TOWER_PHI) + 0.5) * TOWER_PHI
    deposits = [(HADRONIC, eta, phi, 9.0), (HADRONIC, eta + 3 * TOWER_ETA, phi, 4.0), (SHOWER, eta + 0.2, phi, 90.0)]
    images = image(read(deposits), [(eta + 0.2, phi + 0.2)])
    towers = layer(images, HCAL)
    assert max(towers, key=towers.get) == 12 * 25 + 12
    assert images.ieta[0] % 5 == images.iphi[0] % 5 == 2 and 0 <= images.iphi[0] < 360
    assert images.ieta[0] == math.floor(eta / TOWER_ETA) * 5 + 2
    assert images.iphi[0] == math.floor(phi % (2 * math.pi) / TOWER_PHI) * 5 + 2


def test_no_tower_near_the_axis_is_hotter_than_the_one_in_the_middle():
    for seed in range(20):
        images = image(busy_event(seed), [(5.5 * TOWER_ETA, 0.5 * TOWER_PHI)], QUIET)
        axis = np.array([5, 0]) + 12 - np.array([images.ieta[0], (images.iphi[0] + 180) % 360 - 180]) // TOWER
        towers = layer(images, HCAL)
        near = [value for pixel, value in towers.items() if np.abs(np.divmod(pixel, 25) - axis).max() <= 4]
        assert towers[12 * 25 + 12] == max(near)


def test_energy_too_far_from_the_axis_or_not_hadronic_does_not_move_the_window():
    middle = (HADRONIC, 0.5 * TOWER_ETA, 0.5 * TOWER_PHI, 9.0)
    far = [(HADRONIC, 5.5 * TOWER_ETA, 0.5 * TOWER_PHI, 50.0), (HADRONIC, 0.5 * TOWER_ETA, -4.5 * TOWER_PHI, 50.0)]
    images = image(read([middle, *far, (SHOWER, 0.2, 0.2, 50.0)]), [(0.01, 0.01)])
    assert (images.ieta[0], images.iphi[0]) == (2, 2)


@pytest.mark.parametrize(("towers", "found"), [((5.1, 0.5), (4, 0)), ((0.5, -4.1), (0, -4)), ((6.1, 0.5), (0, 0))])
def test_energy_leaks_from_one_tower_beyond_those_near_the_axis(towers, found):
    deposit = (HADRONIC, towers[0] * TOWER_ETA, towers[1] * TOWER_PHI, 50.0)
    images = image(read([deposit]), [(0.01, 0.01)])
    assert (images.ieta[0], images.iphi[0]) == (found[0] * TOWER + 2, (found[1] * TOWER + 2) % 360)


def test_without_hadronic_energy_the_window_is_centred_on_the_axis():
    images = image(read([(SHOWER, 0.2, 0.2, 50.0)]), [(-0.01, math.pi - 0.01)])
    assert (images.ieta[0], images.iphi[0]) == (-3, 177)


@pytest.mark.parametrize("towers", [1, 18, 36, 54, -31])
def test_turning_an_event_by_whole_towers_turns_nothing_in_its_image(towers):
    """The bundle is 1.6 wide in φ, so some of these windows lie across φ = ±π."""
    turned = []
    for turn in (0.0, towers * TOWER_PHI):
        turned.append(image(busy_event(phi=turn + 0.01), [(0.5, np.angle(np.exp(1j * (turn + 0.01))))], QUIET))
    before, after = turned
    assert len(before.hits) > 800
    assert np.array_equal(after.hits[["pixel", "layer"]], before.hits[["pixel", "layer"]])
    assert after.hits["value"] == pytest.approx(before.hits["value"], rel=1e-5)
    assert (after.iphi[0] - before.iphi[0]) % 360 == towers * 5 % 360


def test_a_deposit_lands_in_the_pixel_at_its_place():
    deposits = [(HADRONIC, 0.01, 0.01, 9.0), (MINIMUM_IONISING, 10.5 * PIXEL_ETA, -7.5 * PIXEL_PHI, 0.4)]
    pixel = (MIDDLE + 10 - 2) * SIDE + MIDDLE - 8 - 2
    assert layer(image(read(deposits)), ECAL) == {pixel: pytest.approx(0.4)}


def test_a_shower_outside_the_window_reaches_into_it():
    first_column = (2 - MIDDLE) * PIXEL_PHI
    ecal = layer(image(read([(HADRONIC, 0.01, 0.01, 9.0), (DIFFUSE, 0.01, first_column - 0.5 * PIXEL_PHI, 9.0)])), ECAL)
    assert ecal and {pixel % SIDE for pixel in ecal} == {0, 1, 2}


def test_hcal_is_given_per_pixel_and_together_keeps_the_energy():
    readout = read([(HADRONIC, 0.5 * TOWER_ETA, 0.5 * TOWER_PHI, 100.0)])
    energy = read_calorimeters(readout, EVERYTHING, np.random.default_rng(1)).towers["energy"].sum()
    assert energy > 90 and 25 * sum(layer(image(readout), HCAL).values()) == pytest.approx(energy)


def test_hits_are_ordered_by_layer_then_pixel_and_none_comes_twice():
    images = image(busy_event(), [(0.5, 0.0), (0.2, 0.3)], NOISY)
    for jet in range(2):
        hits = images.hits[images.offset[jet] : images.offset[jet + 1]]
        assert (np.diff(hits["layer"].astype(int) * SIDE**2 + hits["pixel"]) > 0).all()
        assert set(hits["layer"]) == set(range(8))
        assert hits["pixel"].max() < SIDE**2 and hits["pixel"][hits["layer"] == HCAL].max() < 625


@pytest.mark.parametrize("hardest_first", [True, False])
def test_the_hardest_track_of_a_pixel_gives_all_three_track_layers(hardest_first):
    together = [(0.01, 0.011, 7.0, -0.7, -70.0), (0.01, 0.01, 3.0, 0.3, 30.0)]
    apart, outside = (0.2, 0.2, 1.0, 0.1, 10.0), (2.5, 0.01, 9.0, 0.9, 9.0)
    images = image(read(tracks=[*together[:: 1 if hardest_first else -1], apart, outside]))
    pt, dz, d0 = (layer(images, which) for which in (TRACK_PT, TRACK_DZ, TRACK_D0))
    assert list(pt) == list(dz) == list(d0) and len(pt) == 2
    rows = zip(pt.values(), d0.values(), dz.values(), strict=True)
    assert sorted(rows) == [pytest.approx((1.0, 0.1, 10.0)), pytest.approx((7.0, -0.7, -70.0))]


def test_pixel_layers_count_their_hits():
    hits = [(0, 0.01, 0.01), (0, 0.01, 0.01), (0, 0.01, 0.1), (2, 0.01, 0.01), (1, 2.0, 0.0)]
    images = image(read(pixel_hits=hits))
    assert sorted(layer(images, BPIX1).values()) == [1, 2]
    assert (len(layer(images, BPIX2)), list(layer(images, BPIX3).values())) == (0, [1])


@pytest.mark.parametrize(
    "settings", [QUIET, NOISY, QUIET._replace(ecal_zero_suppression=3.0, hcal_zero_suppression=9.0)]
)
def test_nothing_below_the_thresholds_is_kept(settings):
    images = image(busy_event(), [(0.5, 0.0)], settings)
    assert min(layer(images, ECAL).values()) >= np.float32(settings.ecal_zero_suppression)
    assert 25 * min(layer(images, HCAL).values()) >= np.float32(settings.hcal_zero_suppression)


def test_thresholds_drop_the_small_values_and_keep_the_others_as_they_are():
    everything, kept = (image(busy_event(), [(0.5, 0.0)], settings) for settings in (EVERYTHING, QUIET))
    for which, threshold in ((ECAL, QUIET.ecal_zero_suppression), (HCAL, QUIET.hcal_zero_suppression / 25)):
        large = {pixel: value for pixel, value in layer(everything, which).items() if value > threshold}
        assert large == layer(kept, which) and len(large) < len(layer(everything, which))


def test_one_image_leaves_no_trace_in_the_next():
    axes = [(0.5, 0.0), (-0.4, 0.6), (0.5, 0.0)]
    together = image(busy_event(), axes, QUIET)
    for jet, axis in enumerate(axes):
        alone = image(busy_event(), [axis], QUIET)
        assert np.array_equal(together.hits[together.offset[jet] : together.offset[jet + 1]], alone.hits)


def test_images_may_hold_more_values_than_were_foreseen():
    images = image(busy_event(), [(0.5, 0.0)] * 20, NOISY._replace(ecal_noise=1.0, hcal_noise=1.0))
    assert len(images.hits) == images.offset[-1] > 20 * 5000
    assert np.diff(images.offset).min() > 5000
