"""How many quarks of its top a jet and its window hold: from Pythia's record of the decay to the counts."""

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate import produce
from simulation_settings import GENERATOR, SELECTION, SETTINGS
from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE
from topmass.simulation.clustering import Jets
from topmass.simulation.containment import quarks_in_jet, quarks_in_window
from topmass.simulation.generator import Generator, GeneratorSettings, find_quarks, read_out
from topmass.simulation.imaging import Images, pixel_of

RADIUS = SELECTION["jet_radius"]
AROUND = 360


def make_jets(eta, phi, quark_eta, quark_phi) -> Jets:
    """Jets with these axes (N,) and quarks (N, 3)."""
    unused = dict.fromkeys(Jets._fields, np.zeros(len(eta)))
    return Jets(**(unused | {"eta": eta, "phi": phi, "quark_eta": quark_eta, "quark_phi": quark_phi}))


def around(jets: int, seed: int, width: float = 0.8) -> tuple[Jets, Images]:
    """Jets anywhere, also at the seam of φ, with quarks around them, and windows that begin at a tower near them."""
    rng = np.random.default_rng(seed)
    eta, phi = rng.uniform(-2, 2, jets), rng.uniform(-np.pi, np.pi, jets)
    quark_eta, quark_phi = (axis[:, None] + rng.normal(0, width, (jets, 3)) for axis in (eta, phi))
    tower = [np.floor(axis / size / 5).astype(int) * 5 + 2 for axis, size in ((eta, PIXEL_ETA), (phi, PIXEL_PHI))]
    images = Images(np.zeros(jets + 1, int), np.zeros(0), tower[0], tower[1] % AROUND)
    return make_jets(eta, phi, quark_eta, np.angle(np.exp(1j * quark_phi))), images


def record(process: str, events: int) -> ak.Array:
    """Pythia's record of some events."""
    generator = Generator(GeneratorSettings(**GENERATOR | {"process": process}), np.random.SeedSequence(5))
    return generator.pythia.nextBatch(events).prt


def decay(event: list[dict], particle: int) -> list[int]:
    """What a particle decays to, from copy to copy of it, by place in the record; b before W."""
    while True:
        daughters = sorted({event[particle]["daughter1"], event[particle]["daughter2"]})
        copies = [each for each in daughters if event[each]["id"] == event[particle]["id"]]
        if not copies:
            return sorted(daughters, key=lambda each: abs(event[each]["id"]))
        (particle,) = copies


@pytest.mark.parametrize("process", ["gun", "ttbar"])
def test_the_quarks_are_those_that_a_walk_through_the_record_finds(process):
    events = record(process, 25)
    tops, found = read_out(events)[1], []
    for event in events.to_list():
        first, second = (next(i for i, each in enumerate(event) if each["id"] == pdg) for pdg in (6, -6))
        for top in (first, second):
            b, w = decay(event, top)
            found.append([event[each]["p"] for each in (b, *decay(event, w))])
    assert len(found) == len(tops.event) == 50
    px, py, pz = (np.array([[each[axis] for each in quarks] for quarks in found]) for axis in ("px", "py", "pz"))
    # By event alone the two tops of one may stand in either order.
    for ours, theirs in ((tops.quark_eta, np.arcsinh(pz / np.hypot(px, py))), (tops.quark_phi, np.arctan2(py, px))):
        np.testing.assert_allclose(np.sort(ours.reshape(25, 6)), np.sort(theirs.reshape(25, 6)), rtol=1e-9)


@pytest.mark.parametrize("process", ["gun", "ttbar"])
def test_a_top_decays_to_three_quarks_that_have_its_mass(process):
    events = record(process, 150)
    flat = ak.flatten(events)
    pdg = ak.to_numpy(flat.id)
    particles = ak.to_numpy(ak.num(events))
    start = np.repeat(np.cumsum(particles) - particles, particles)
    daughters = np.stack([start + ak.to_numpy(flat[name]) for name in ("daughter1", "daughter2")])
    top = np.flatnonzero((np.abs(pdg) == 6) & (np.abs(pdg[daughters]) == 24).any(axis=0))
    quarks = find_quarks(top, pdg, daughters)
    assert quarks.shape == (300, 3) and set(np.abs(pdg[quarks]).ravel()) <= {1, 2, 3, 4, 5}
    momenta = np.stack([ak.to_numpy(flat.p[axis])[quarks].sum(axis=1) for axis in ("px", "py", "pz", "e")])
    mass = np.sqrt(momenta[3] ** 2 - (momenta[:3] ** 2).sum(axis=0))
    share = mass / ak.to_numpy(flat.m)[top]
    # What the W recoils when the b radiates.
    assert np.median(share) == pytest.approx(1, abs=0.01) and (np.abs(share - 1) < 0.1).mean() > 0.9


def test_a_w_that_recoils_and_radiates_a_photon_is_followed_to_its_quarks():
    pdg = np.array([0, 6, 24, 5, 24, 24, 22, 2, -1])
    daughters = np.array([[0, 0], [3, 2], [4, 4], [0, 0], [6, 5], [7, 8], [0, 0], [0, 0], [0, 0]]).T
    assert find_quarks(np.array([1]), pdg, daughters).tolist() == [[3, 7, 8]]


def test_quarks_at_the_axis_and_in_the_middle_are_three():
    jets, images = around(50, 1, width=0)
    assert (quarks_in_jet(jets, RADIUS) == 3).all() and (quarks_in_window(jets, images) == 3).all()


@pytest.mark.parametrize("phi", [0.0, np.pi, -np.pi, 3.0])
def test_a_quark_counts_up_to_the_edge_and_across_the_seam(phi):
    """The window reaches half of 125 pixels from the middle of its middle pixel, a jet its radius from its axis."""
    axis = np.array([phi])
    images = Images(np.zeros(2, int), np.zeros(0), np.array([0]), np.floor(axis / PIXEL_PHI).astype(int) % AROUND)
    middle = (0.5 * PIXEL_ETA, (images.iphi[0] + 0.5) * PIXEL_PHI)
    for way in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        for off, pixels in ((1e-6, 0), (-1e-6, 3)):
            reach = (SIDE / 2 * (1 + off) * PIXEL_ETA, SIDE / 2 * (1 + off) * PIXEL_PHI)
            eta, angle = (np.full((1, 3), middle[i] + way[i] * reach[i]) for i in (0, 1))
            jets = make_jets(np.zeros(1), axis, eta, np.angle(np.exp(1j * angle)))
            assert quarks_in_window(jets, images) == [pixels]
            eta, angle = (np.full((1, 3), (0, phi)[i] + way[i] * RADIUS * (1 + off)) for i in (0, 1))
            assert quarks_in_jet(make_jets(np.zeros(1), axis, eta, np.angle(np.exp(1j * angle))), RADIUS) == [pixels]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_quark_is_in_the_window_where_the_image_has_a_pixel_for_it(seed):
    jets, images = around(40, seed)
    counted = quarks_in_window(jets, images)
    for i, number in enumerate(counted):
        corner = images.ieta[i] - SIDE // 2, images.iphi[i] - SIDE // 2
        pixels = [pixel_of(*quark, *corner) for quark in zip(jets.quark_eta[i], jets.quark_phi[i], strict=True)]
        assert sum(pixel >= 0 for pixel in pixels) == number


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 2), st.floats(0.1, 2))
def test_a_wider_jet_holds_no_fewer_and_never_more_than_three(seed, radius, wider):
    jets, _ = around(40, seed)
    narrow, wide = quarks_in_jet(jets, radius), quarks_in_jet(jets, radius + wider)
    assert (narrow >= 0).all() and (narrow <= wide).all() and (wide <= 3).all()


def test_simulated_jets_hold_most_of_their_top_and_less_of_a_heavier_one():
    jets = next(produce(0, 1, SETTINGS))
    contained, light = jets.quarks_in_window == 3, jets.mass < 250
    assert 0.5 < contained.mean() < 0.72, "0.611 in 24,000 jets"
    assert contained[light].mean() > contained[~light].mean() + 0.2
    assert (jets.quarks_in_window >= 1).all() and jets.quarks_in_jet.mean() < jets.quarks_in_window.mean()
