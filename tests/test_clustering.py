"""Jets, their top quarks and their soft drop agree with slow, independent ways of finding them."""

import math
from dataclasses import replace
from typing import NamedTuple

import awkward as ak
import fastjet
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation_settings import DETECTOR, GENERATOR, SELECTION
from topmass.simulation.calorimeters import read_calorimeters
from topmass.simulation.candidates import CANDIDATE, particle_flow
from topmass.simulation.clustering import Jets, JetSettings, cluster_jets, match_jets, softdrop_mass
from topmass.simulation.detector import DetectorSettings, detect
from topmass.simulation.generator import Events, Generator, GeneratorSettings, Particles, Tops

SETTINGS = JetSettings(**SELECTION)


def make_tops(event: list[int], pt: np.ndarray, eta: np.ndarray, phi: np.ndarray) -> Tops:
    """Tops of 173 GeV that decay along their own direction."""
    quarks = (np.repeat(np.asarray(each)[:, None], 3, axis=1) for each in (pt, eta, phi, np.zeros(len(event))))
    return Tops(np.array(event, int), np.full(len(event), 173.0), *map(np.asarray, (pt, eta, phi)), *quarks)


NO_TOPS = make_tops([], [], [], [])


def momenta(pt: np.ndarray, eta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Massless candidates."""
    no_track = np.full(len(pt), np.nan)
    return np.rec.fromarrays(
        [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta), no_track], dtype=CANDIDATE
    )


class Candidates(NamedTuple):
    """Candidates of all events, and the offsets of the events."""

    candidates: np.ndarray
    candidate_offset: np.ndarray


def read(*events: np.ndarray) -> Candidates:
    """These candidates, event by event."""
    offset = np.concatenate([[0], np.cumsum([len(event) for event in events])])
    return Candidates(np.concatenate([*events, np.empty(0, CANDIDATE)]), offset)


def distance(eta: np.ndarray, phi: np.ndarray, other_eta: float, other_phi: float) -> np.ndarray:
    """ΔR."""
    return np.hypot(eta - other_eta, np.angle(np.exp(1j * (phi - other_phi))))


def slow_antikt(p: np.ndarray, radius: float) -> np.ndarray:
    """Jets (n, 4) as px, py, pz, E: the definition (Cacciari, Salam, Soyez, JHEP 04 (2008) 063) taken word for word."""
    found = []
    while len(p):
        pt = np.hypot(p[:, 0], p[:, 1])
        rapidity, phi = np.arctanh(p[:, 2] / p[:, 3]), np.arctan2(p[:, 1], p[:, 0])
        apart = distance(rapidity[:, None], phi[:, None], rapidity, phi)
        pairs = np.minimum(pt[:, None] ** -2.0, pt**-2.0) * (apart / radius) ** 2
        np.fill_diagonal(pairs, pt**-2.0)
        i, k = np.unravel_index(np.argmin(pairs), pairs.shape)
        if i == k:
            found.append(p[i])
        p = np.concatenate([np.delete(p, [i, k], axis=0), p[[i]] + p[[k]] if i != k else p[:0]])
    return np.array(found)


@pytest.fixture(scope="module")
def events() -> tuple[Candidates, Events]:
    """What the detector sees of forty events, and the events."""
    events = Generator(GeneratorSettings(**GENERATOR), np.random.SeedSequence(3)).batch(40)
    settings, rng = DetectorSettings(**DETECTOR), np.random.default_rng(3)
    readout = detect(events.particles, settings, rng)
    return Candidates(*particle_flow(readout, read_calorimeters(readout, settings, rng))), events


def cluster(readout: Candidates, tops: Tops | Events, settings: JetSettings = SETTINGS) -> Jets:
    """Jets of a readout whose events have these tops."""
    if isinstance(tops, Tops):
        n = len(readout.candidate_offset) - 1
        nothing = Particles(np.zeros(n + 1, int), *[np.empty(0)] * 8)
        tops = Events(nothing, tops, True, np.ones(n), np.zeros(n))
    return cluster_jets(readout.candidates, readout.candidate_offset, tops, settings)


def test_jets_are_those_of_the_definition_of_anti_kt():
    rng = np.random.default_rng(4)
    event = momenta(rng.exponential(30, 60), rng.normal(0, 1, 60), rng.uniform(-math.pi, math.pi, 60))
    slow = slow_antikt(np.array(event.tolist())[:, :4], 0.8)
    pt, eta = np.hypot(slow[:, 0], slow[:, 1]), np.arcsinh(slow[:, 2] / np.hypot(slow[:, 0], slow[:, 1]))
    phi = np.arctan2(slow[:, 1], slow[:, 0])
    mass = np.sqrt(np.maximum(0, slow[:, 3] ** 2 - (slow[:, :3] ** 2).sum(axis=1)))
    order = np.argsort(-pt)
    order = order[(pt[order] > 50) & (np.abs(eta[order]) < 2)]
    assert len(order) > 4
    tops = make_tops([0] * len(order), pt[order], eta[order], phi[order])
    jets = cluster(read(event), tops, JetSettings(0.8, 50, 2.0, 0.1, 0.1))
    for found, expected in ((jets.pt, pt), (jets.eta, eta), (jets.phi, phi), (jets.jet_mass, mass)):
        assert np.sort(found) == pytest.approx(np.sort(expected[order]))


def groomed_mass(jets: ak.Array, cut: float) -> np.ndarray:
    """Masses after the soft drop of FastJet's contrib; zero instead of a negative mass, which is rounding."""
    clusters = fastjet.ClusterSequence(jets, fastjet.JetDefinition(fastjet.cambridge_algorithm, 10.0))
    groomed = clusters.exclusive_jets_softdrop_grooming(1, 0.0, cut, "scalar_z", 0.8)
    return np.maximum(ak.to_numpy(groomed.msoftdrop), 0)


def jagged(candidates: np.ndarray, offset: np.ndarray) -> ak.Array:
    """Candidates as FastJet takes them, one list per event or jet."""
    names = {"px": "px", "py": "py", "pz": "pz", "E": "energy"}
    fields = ak.zip({to: candidates[name] for to, name in names.items()}, with_name="Momentum4D")
    return ak.unflatten(fields, np.diff(offset))


def test_soft_drop_agrees_with_the_implementation_of_fastjet_contrib(events):
    readout, tops = events
    by_event = jagged(readout.candidates, readout.candidate_offset)
    antikt = fastjet.ClusterSequence(by_event, fastjet.JetDefinition(fastjet.antikt_algorithm, SETTINGS.jet_radius))
    members = ak.flatten(antikt.constituents(SETTINGS.pt_min))
    pt = ak.to_numpy(np.hypot(ak.sum(members.px, axis=1), ak.sum(members.py, axis=1)))
    jets = cluster(readout, tops)
    assert len(jets.event) > 50
    same = [int(np.argmin(np.abs(pt - one))) for one in jets.pt]
    assert jets.softdrop_mass == pytest.approx(groomed_mass(members, SETTINGS.softdrop_zcut)[same], rel=1e-12, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.5))
def test_soft_drop_of_random_jets_is_that_of_fastjet_contrib(seed, cut):
    rng = np.random.default_rng(seed)
    offset = np.concatenate([[0], np.cumsum(rng.integers(1, 60, 10))])
    n = offset[-1]
    candidates = momenta(rng.exponential(20, n), rng.normal(0, 0.4, n), rng.normal(math.pi, 0.4, n))
    candidates["energy"] = np.hypot(candidates["energy"], rng.exponential(0.3, n))
    masses = softdrop_mass(candidates, offset, replace(SETTINGS, softdrop_zcut=cut))
    assert masses == pytest.approx(groomed_mass(jagged(candidates, offset), cut), rel=1e-12, abs=1e-4)


def test_soft_drop_only_takes_away(events):
    jets = cluster(*events)
    assert (jets.softdrop_mass <= jets.jet_mass + 1e-9).all() and (jets.softdrop_mass >= 0).all()
    assert (jets.softdrop_mass < jets.jet_mass - 1).any()


@pytest.mark.parametrize(("soft_pt", "kept"), [(500 / 9 + 0.1, True), (500 / 9 - 0.1, False)])
def test_soft_drop_keeps_a_prong_above_a_tenth_of_the_pt_and_drops_one_below(soft_pt, kept):
    prongs = momenta(np.array([500.0, soft_pt]), np.zeros(2), np.array([0.0, 0.4]))
    pair_mass = math.sqrt(2 * 500 * soft_pt * (1 - math.cos(0.4)))
    assert softdrop_mass(prongs, np.array([0, 2]), SETTINGS) == pytest.approx(pair_mass if kept else 0, abs=1e-4)


def test_selected_jets_pass_the_selection_and_lie_near_their_top(events):
    jets, tops = cluster(*events), events[1].tops
    assert (jets.pt > SETTINGS.pt_min).all() and (np.abs(jets.eta) < SETTINGS.eta_max).all()
    assert (np.diff(jets.event) >= 0).all()
    for event, eta, phi, mass, top_pt in zip(jets.event, jets.eta, jets.phi, jets.mass, jets.top_pt, strict=True):
        own = np.flatnonzero((tops.event == event) & (tops.mass == mass) & (tops.pt == top_pt))
        assert len(own) == 1
        assert distance(tops.eta[own], tops.phi[own], eta, phi) < SETTINGS.top_match_dr


def test_events_without_candidates_or_tops_have_no_jets():
    assert len(cluster(read(np.empty(0, CANDIDATE)), NO_TOPS).event) == 0
    jet = momenta(np.array([900.0, 500.0]), np.zeros(2), np.array([0.0, 1.0]))
    assert len(cluster(read(np.empty(0, CANDIDATE), jet), NO_TOPS).event) == 0
    tops = make_tops([1], [880.0], [0.1], [0.1])
    assert cluster(read(np.empty(0, CANDIDATE), jet, jet[:0]), tops).event.tolist() == [1]


def test_a_top_goes_to_the_nearest_jet_across_the_seam_of_phi():
    event, eta = np.zeros(2, int), np.zeros(2)
    top = make_tops([0], [500.0], [0.0], [-math.pi + 0.1])
    assert match_jets(event, eta, np.array([math.pi - 0.1, -math.pi + 0.5]), top, 0.8).tolist() == [0, -1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_each_top_has_at_most_one_jet_of_its_event_within_the_distance(seed):
    rng = np.random.default_rng(seed)
    event, top_event = np.sort(rng.integers(0, 4, 12)), np.sort(rng.integers(0, 4, 8))
    eta, top_eta = rng.uniform(-1, 1, 12), rng.uniform(-1, 1, 8)
    phi, top_phi = rng.uniform(-math.pi, math.pi, 12), rng.uniform(-math.pi, math.pi, 8)
    found = match_jets(event, eta, phi, make_tops(top_event, top_eta, top_eta, top_phi), 0.8)
    matched = found[found >= 0]
    assert len(set(matched)) == len(matched)
    apart = np.array([distance(top_eta, top_phi, *jet) for jet in zip(eta, phi, strict=True)])
    close = (event[:, None] == top_event) & (apart < 0.8)
    assert close[np.flatnonzero(found >= 0), matched].all()
    free = np.ix_(found < 0, ~np.isin(np.arange(8), matched))
    assert not close[free].any(), "a jet and a top that are near each other were both left alone"
    nearest = np.unravel_index(np.argmin(np.where(close, apart, np.inf)), apart.shape)
    assert not close.any() or found[nearest[0]] == nearest[1]
