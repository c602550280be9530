"""Calorimeter cells contain the energy of the showers, at the right place, and noise as often as its distribution."""

import math

import numpy as np
import pytest

from simulation_settings import DETECTOR
from topmass.layers import PIXEL_ETA, PIXEL_PHI, TOWER
from topmass.simulation.calorimeters import (
    ECAL_COMPACT,
    ECAL_DIFFUSE,
    HCAL_PROFILE,
    N_ETA,
    N_PHI,
    SOFT_SHOWER,
    Cells,
    read_calorimeters,
    spread,
)
from topmass.simulation.detector import DEPOSIT, HADRONIC, MINIMUM_IONISING, SHOWER, DetectorSettings, Readout

NOISY = DetectorSettings(**DETECTOR)
QUIET = NOISY._replace(ecal_noise=0.0, hcal_noise=0.0)
EVERYTHING = QUIET._replace(ecal_zero_suppression=0.0, hcal_zero_suppression=0.0)


def read(*events: list, settings: DetectorSettings = EVERYTHING) -> Cells:
    """Cells of events with these deposits (kind, η, φ, energy)."""
    deposits = np.array([deposit for event in events for deposit in event], DEPOSIT)
    offset = np.concatenate([[0], np.cumsum([len(event) for event in events])])
    nothing = np.empty(0), np.zeros(len(offset), int)
    return read_calorimeters(Readout(deposits, offset, *nothing, *nothing), settings, np.random.default_rng(1))


def contained(fraction: float, reach: int, width: float) -> float:
    """Integral of a Laplace distribution over 2 reach + 1 cells, its centre at this fraction of the middle one."""
    return 1 - 0.5 * math.exp(-(reach + fraction) / width) - 0.5 * math.exp(-(reach + 1 - fraction) / width)


def shower(row: float, column: float, energy: float, profile: tuple) -> np.ndarray:
    """Plane of a detector with one shower."""
    plane, touched = np.zeros(N_ETA * N_PHI), np.empty(100, np.int64)
    n = spread(plane, touched, 0, N_PHI, row, column, energy, profile)
    assert sorted(touched[:n]) == np.flatnonzero(plane).tolist()
    return plane.reshape(N_ETA, N_PHI)


@pytest.mark.parametrize(("row", "column"), [(62.5, 62.5), (20.01, 99.7)])
@pytest.mark.parametrize("profile", [ECAL_COMPACT, ECAL_DIFFUSE, HCAL_PROFILE])
def test_cells_share_all_of_a_shower_but_the_known_leakage(row, column, profile):
    plane, (core, tail, weight, reach) = shower(row, column, 10.0, profile), profile
    inside = [contained(row % 1, reach, width) * contained(column % 1, reach, width) for width in (core, tail)]
    assert plane.sum() == pytest.approx(10 * ((1 - weight) * inside[0] + weight * inside[1]))
    assert np.unravel_index(np.argmax(plane), plane.shape) == (int(row), int(column))
    assert np.count_nonzero(plane) == (2 * reach + 1) ** 2


@pytest.mark.parametrize("column", [0.3, 359.8, -0.2])
def test_a_shower_continues_beyond_phi_of_zero(column):
    expected = np.roll(shower(60.3, (column % 1) + 180, 10.0, ECAL_DIFFUSE), math.floor(column) - 180, axis=1)
    assert shower(60.3, column, 10.0, ECAL_DIFFUSE) == pytest.approx(expected)


def test_a_soft_shower_reaches_the_adjacent_cells_only():
    hard, soft = (shower(60.5, 60.5, energy, ECAL_COMPACT) for energy in (SOFT_SHOWER, 0.99 * SOFT_SHOWER))
    assert np.count_nonzero(soft) == 9 and soft[59:62, 59:62] == pytest.approx(0.99 * hard[59:62, 59:62])
    hard[59:62, 59:62] = 0
    assert hard.max() < 0.02 * SOFT_SHOWER


def test_cells_are_counted_from_the_centre():
    eta, phi = -10.5 * PIXEL_ETA, -7.5 * PIXEL_PHI
    cells = read([(MINIMUM_IONISING, eta, phi, 0.4), (HADRONIC, eta, phi, 100.0)])
    assert cells.crystals.tolist() == [(-11, N_PHI - 8, 0.4)]
    hottest = cells.towers[np.argmax(cells.towers["energy"])]
    assert (hottest["ieta"], hottest["iphi"]) == (-3, N_PHI // TOWER - 2) and len(cells.towers) == 9


def test_energy_outside_the_detector_and_events_without_energy_have_no_cells():
    cells = read([], [(SHOWER, 3.1, 0.0, 50.0), (HADRONIC, -3.01, 0.0, 50.0)], [(MINIMUM_IONISING, 2.99, 0.0, 1.0)])
    assert cells.crystal_offset.tolist() == [0, 0, 0, 1] and cells.tower_offset.tolist() == [0, 0, 0, 0]


def test_one_event_leaves_no_trace_in_the_next():
    rng = np.random.default_rng(2)
    events = [[(rng.integers(0, 4), *rng.normal(0, 0.5, 2), rng.exponential(5)) for _ in range(100)] for _ in range(3)]
    together = read(*events, settings=QUIET)
    for number, event in enumerate(events):
        alone = read(event, settings=QUIET)
        for name in ("crystal", "tower"):
            offset, cells = getattr(together, f"{name}_offset"), getattr(together, f"{name}s")
            assert np.array_equal(cells[offset[number] : offset[number + 1]], getattr(alone, f"{name}s"))


@pytest.mark.parametrize("name", ["ecal", "hcal"])
def test_thresholds_drop_the_small_values_and_keep_the_others_as_they_are(name):
    rng = np.random.default_rng(3)
    event = [(rng.integers(0, 4), *rng.normal(0, 0.5, 2), rng.exponential(5)) for _ in range(100)]
    every, some = (
        getattr(read(event, settings=settings), {"ecal": "crystals", "hcal": "towers"}[name])
        for settings in (EVERYTHING, QUIET)
    )
    threshold = DETECTOR[f"{name}_zero_suppression"]
    assert np.array_equal(some, every[every["energy"] > threshold]) and len(some) < len(every)


def test_noise_of_an_empty_detector_is_as_frequent_and_as_large_as_the_tail_of_its_distribution():
    events, settings = 400, NOISY._replace(hcal_zero_suppression=0.4)
    cells = read(*[[]] * events, settings=settings)
    for name, number, sigmas in (("crystal", N_ETA * N_PHI, 3), ("tower", N_ETA * N_PHI // TOWER**2, 2)):
        found = np.diff(getattr(cells, f"{name}_offset"))
        mean = number * 0.5 * math.erfc(sigmas / math.sqrt(2))
        assert found.mean() == pytest.approx(mean, abs=5 * math.sqrt(mean / events))
        assert found.var() == pytest.approx(mean, rel=5 * math.sqrt(2 / events))
    assert cells.crystals["energy"].mean() - 0.12 == pytest.approx(0.04**2 / 0.12, rel=0.05)
    assert abs(cells.crystals["ieta"].mean()) < 3 and cells.crystals["iphi"].mean() == pytest.approx(180, abs=3)


def test_noise_spreads_a_signal_by_its_width_and_does_not_shift_it():
    energy = read(*[[(MINIMUM_IONISING, 0.2, 0.2, 2.0)]] * 3000, settings=NOISY).crystals["energy"]
    largest = energy[energy > 1]
    assert len(largest) == 3000
    assert largest.mean() == pytest.approx(2, abs=5 * 0.04 / math.sqrt(3000))
    assert largest.std() == pytest.approx(0.04, rel=0.07)


def test_no_cell_of_an_event_is_read_out_twice():
    settings = NOISY._replace(ecal_zero_suppression=0.02, hcal_zero_suppression=0.1)
    cells = read(*[[(SHOWER, 0.5, 0.5, 0.3), (HADRONIC, 0.5, 0.5, 1.0)]] * 20, settings=settings)
    for name in ("crystal", "tower"):
        offset, hits = getattr(cells, f"{name}_offset"), getattr(cells, f"{name}s")
        event = np.repeat(np.arange(20), np.diff(offset))
        positions = np.stack([event, hits["ieta"], hits["iphi"]])
        assert np.unique(positions, axis=1).shape == positions.shape and len(hits) > 20 * 500


def test_there_may_be_more_cells_than_were_foreseen():
    settings = NOISY._replace(ecal_noise=1.0, hcal_noise=1.0)
    cells = read([], [(SHOWER, 0.5, 0.5, 10.0)], settings=settings)
    for name in ("crystal", "tower"):
        offset = getattr(cells, f"{name}_offset")
        assert len(getattr(cells, f"{name}s")) == offset[-1] and np.diff(offset).min() > 1000
