"""Pile-up is what the settings ask for, depends on nothing else, and is removed from jets."""

import math

import numpy as np
import pytest

from simulation_settings import DETECTOR
from topmass.simulation import pileup
from topmass.simulation.calorimeters import read_calorimeters
from topmass.simulation.candidates import CANDIDATE, particle_flow
from topmass.simulation.detector import DetectorSettings, detect
from topmass.simulation.generator import Events, Particles
from topmass.simulation.pileup import PileupSettings, minimum_bias_pool, mitigate, overlay, puppi_weights

POOL_SIZE = 60


@pytest.fixture(scope="module")
def pool() -> Particles:
    """A small pool of minimum-bias collisions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pileup, "POOL_EVENTS", POOL_SIZE)
        return minimum_bias_pool(13000.0, np.random.SeedSequence(1))


def pions(per_event: list[int]) -> Events:
    """Events with so many pions of 5 GeV."""
    n = sum(per_event)
    columns = (np.full(n, value) for value in (3.0, 4.0, 1.0, 5.1, 0.0, 0.0, 0.0))
    offset = np.concatenate([[0], np.cumsum(per_event)])
    events = len(per_event)
    return Events(Particles(offset, np.full(n, 211), *columns), None, True, np.ones(events), np.zeros(events))


def test_the_pool_has_the_particles_that_the_detector_sees(pool):
    assert len(pool.offset) == POOL_SIZE + 1
    pt = np.hypot(pool.px, pool.py)
    assert pt.min() > 0.1 and np.abs(np.arcsinh(pool.pz / pt)).max() < 3
    # Some 7 charged particles per unit of η and as many neutral ones (CMS, PLB 751 (2015) 143, 13 TeV).
    assert 40 < len(pt) / POOL_SIZE < 110


def test_an_event_keeps_its_particles_first_and_gets_whole_rotated_collisions(pool):
    events, particles = overlay(pions([2, 0, 3]), pool, PileupSettings(4, 5.0), np.random.default_rng(1))
    assert len(events.pileup) == 3 and events.pileup.sum() > 0
    sizes = set(np.diff(pool.offset).tolist())
    for event, own in enumerate((2, 0, 3)):
        rows = slice(particles.offset[event], particles.offset[event + 1])
        assert (particles.px[rows][:own] == 3).all() and (particles.z[rows][:own] == 0).all()
        added = rows.stop - rows.start - own
        assert added >= min(sizes) * events.pileup[event]
    added = particles.px != 3
    pool_pt, pt = np.hypot(pool.px, pool.py), np.hypot(particles.px, particles.py)[added]
    assert np.isin(np.round(pt, 9), np.round(pool_pt, 9)).all()


def test_number_and_vertices_of_collisions_follow_the_settings(pool):
    events, particles = overlay(pions([1] * 400), pool, PileupSettings(20, 4.0), np.random.default_rng(2))
    assert events.pileup.mean() == pytest.approx(20, abs=4 * math.sqrt(20 / 400))
    assert events.pileup.var() == pytest.approx(20, rel=0.3)
    prompt = (np.hypot(particles.x, particles.y) < 1e-6) & (particles.z != 0)
    assert particles.z[prompt].std() == pytest.approx(0.04, rel=0.05)
    phi = np.arctan2(particles.py, particles.px)[particles.px != 3]
    assert abs(np.exp(1j * phi).mean()) < 0.02


def candidates(rows: list[tuple[float, float, float, float]]) -> np.ndarray:
    """Massless candidates (pT, η, φ, dz); dz of a neutral one is NaN."""
    return np.array(
        [(pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta), pt * math.cosh(eta), dz)
         for pt, eta, phi, dz in rows],
        CANDIDATE,
    )  # fmt: skip


def test_tracks_of_other_vertices_go_and_neutrals_near_hard_tracks_stay():
    rng = np.random.default_rng(3)
    jet = [(100.0, 0.1 * k, 0.05 * k, 0.0) for k in range(5)]
    other = [(1.0, *rng.uniform(-2, 2, 2), 3.0) for _ in range(300)]
    neutrals = [(50.0, 0.15, 0.1, math.nan), (1.0, -1.8, -1.5, math.nan)]
    event = candidates(jet + other + neutrals)
    weight = puppi_weights(event, np.array([0, len(event)]), np.array([30]))
    assert (weight[:5] == 1).all() and (weight[5:305] == 0).all()
    assert weight[305] > 0.9 and weight[306] == 0
    kept, offset = mitigate(event, np.array([0, len(event)]), np.array([30]))
    assert offset.tolist() == [0, 6] and kept["energy"][-1] == pytest.approx(50 * math.cosh(0.15) * weight[305])


def test_without_tracks_of_other_vertices_nothing_is_removed():
    event = candidates([(100.0, 0.0, 0.0, 0.01), (1.0, 1.0, 1.0, math.nan)])
    kept, offset = mitigate(event, np.array([0, 2, 2]), np.array([0, 0]))
    assert kept.tobytes() == event.tobytes() and offset.tolist() == [0, 2, 2]


def test_mitigation_removes_most_of_the_pileup_energy(pool):
    settings = PileupSettings(30, 4.0)
    events, particles = overlay(pions([5] * 20), pool, settings, np.random.default_rng(4))
    detector, rng = DetectorSettings(**DETECTOR), np.random.default_rng(4)
    readout = detect(particles, detector, rng)
    every, offset = particle_flow(readout, read_calorimeters(readout, detector, rng))
    kept, _ = mitigate(every, offset, events.pileup)
    before, after = (np.hypot(some["px"], some["py"]).sum() for some in (every, kept))
    hard = 20 * 5 * 5
    assert before > 20 * hard / 5 and after - hard < 0.15 * (before - hard)
