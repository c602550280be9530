"""Candidates are made of what was read out, by the same definition as the particle flow of images."""

import itertools
import math

import numpy as np
import pytest
import torch

from simulation_settings import DETECTOR, GENERATOR, SELECTION
from topmass.features.hits import WINDOW_CENTRE, Hits, eta_from_ieta
from topmass.features.particle_flow import CALO_RESPONSE
from topmass.features.towers import TOWERS_PER_SIDE, assign_tower_slots, build_towers
from topmass.layers import LAYERS, PIXEL_ETA, PIXEL_PHI, SIDE, TOWER
from topmass.simulation import candidates as simulated
from topmass.simulation.calorimeters import CELL, Cells, read_calorimeters
from topmass.simulation.candidates import MIN_NEUTRAL_ECAL, particle_flow
from topmass.simulation.clustering import JetSettings, cluster_jets
from topmass.simulation.detector import DetectorSettings, Readout, detect
from topmass.simulation.generator import Generator, GeneratorSettings, Particles
from topmass.simulation.imaging import Images, make_images

SETTINGS = DetectorSettings(**DETECTOR)
QUIET = SETTINGS._replace(ecal_noise=0.0, hcal_noise=0.0, track_efficiency=1.0)


def fire(pdg: int, pt: float, eta: float = 0.52, phi: float = 0.31, n: int = 200) -> Particles:
    """n equal particles, one per event."""
    momentum = (pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta), pt * math.cosh(eta))
    return Particles(np.arange(n + 1), np.full(n, pdg, np.int32), *(np.full(n, x) for x in (*momentum, 0.0, 0.0, 0.0)))


def see(particles: Particles, settings: DetectorSettings = QUIET, seed: int = 1) -> tuple[Readout, Cells]:
    """The readout of tracker and calorimeters."""
    rng = np.random.default_rng(seed)
    readout = detect(particles, settings, rng)
    return readout, read_calorimeters(readout, settings, rng)


def p4_sums(candidates: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Summed px, py, pz and energy (events, 4)."""
    columns = np.stack([candidates[name] for name in ("px", "py", "pz", "energy")], axis=1)
    return np.array([columns[a:b].sum(axis=0) for a, b in itertools.pairwise(offset)])


def test_the_assumed_response_is_that_of_the_library():
    assert simulated.CALO_RESPONSE == CALO_RESPONSE


def test_an_isolated_track_is_a_candidate_with_its_measured_momentum_where_it_enters_the_calorimeter():
    readout, cells = see(fire(13, pt=20))
    candidates, _ = particle_flow(readout, cells)
    charged = candidates[~np.isnan(candidates["dz"])]
    pt, phi = np.hypot(charged["px"], charged["py"]), np.arctan2(charged["py"], charged["px"])
    assert pt == pytest.approx(readout.tracks["pt"]) and phi == pytest.approx(readout.tracks["phi"])
    assert np.arcsinh(charged["pz"] / pt) == pytest.approx(readout.tracks["eta"])
    assert charged["dz"] == pytest.approx(readout.tracks["dz"])
    assert abs(phi.mean() - 0.31) > 0.03, "the field bends a track of 20 GeV"


def test_a_photon_is_a_candidate_with_the_energy_and_the_centroid_of_its_crystals():
    readout, cells = see(fire(22, pt=50), QUIET._replace(ecal_eta_slope=0.0))
    candidates, offset = particle_flow(readout, cells)
    assert np.isnan(candidates["dz"]).all()
    sums = p4_sums(candidates, offset)
    energy = np.array([
        cells.crystals["energy"][a:b].sum() for a, b in itertools.pairwise(cells.crystal_offset)
    ])  # fmt: skip
    # Crystals of small energy in adjacent towers are below the threshold of a candidate.
    assert sums[:, 3] == pytest.approx(energy, abs=4 * MIN_NEUTRAL_ECAL)
    assert np.arctan2(sums[:, 1], sums[:, 0]).mean() == pytest.approx(0.31, abs=0.003)
    eta = np.arcsinh(sums[:, 2] / np.hypot(sums[:, 0], sums[:, 1]))
    assert np.median(eta) == pytest.approx(0.52, abs=0.003)


def test_neutral_hadrons_have_the_direction_of_the_cells_that_they_hit():
    readout, cells = see(fire(130, pt=50))
    sums = p4_sums(*particle_flow(readout, cells))
    assert (sums[:, 3] < 50 * math.cosh(0.52)).mean() > 0.6, "the response is below 1"
    assert np.median(np.arctan2(sums[:, 1], sums[:, 0])) == pytest.approx(0.31, abs=TOWER * PIXEL_PHI / 2)


def cell(ieta: int, iphi: int, energy: float) -> np.ndarray:
    """One calorimeter cell."""
    return np.array([(ieta, iphi, energy)], CELL)


@pytest.mark.parametrize(("hcal", "neutral"), [(79.0, []), (89.0, []), (95.0, [15.0])])
def test_hcal_energy_counts_if_it_exceeds_the_expected_response_by_the_root_of_the_track_energy(hcal, neutral):
    readout, _ = see(fire(13, pt=100, eta=0.04, phi=0.04, n=1), QUIET._replace(magnetic_field=1e-3))
    readout.tracks["pt"], readout.tracks["eta"] = 100 / math.cosh(0.04), 0.04
    tower = np.array([(0, 0, hcal)], CELL)
    candidates, _ = particle_flow(readout, Cells(tower[:0], np.array([0, 0]), tower, np.array([0, 1])))
    found = candidates[np.isnan(candidates["dz"])]
    assert found["energy"] == pytest.approx(neutral)
    assert found["pz"] / found["energy"] == pytest.approx(np.tanh([0.04] * len(found))), "the direction of the track"


def hits_of(images: Images, jet: int) -> Hits:
    """Hits of one image as the library decodes them, one jet per batch."""
    hits = images.hits[images.offset[jet] : images.offset[jet + 1]]
    hcal = hits["layer"] == [layer.name for layer in LAYERS].index("hcal")
    side = np.where(hcal, TOWERS_PER_SIDE, SIDE)
    size = np.where(hcal, TOWER, 1)
    row, column = (x * size + (size - 1) / 2 - WINDOW_CENTRE for x in np.divmod(hits["pixel"].astype(int), side))
    value = hits["value"].astype(float) * np.where(hcal, TOWER**2, 1)
    columns = (np.zeros(len(hits), int), hits["layer"].astype(int), value, row * PIXEL_ETA, column * PIXEL_PHI)
    window_eta = [float(eta_from_ieta(np.array(images.ieta[jet])))]
    return Hits(*map(torch.as_tensor, columns), torch.tensor(window_eta, dtype=torch.float64))


def test_candidates_of_each_tower_add_up_to_the_particle_flow_of_its_image():
    events = Generator(GeneratorSettings(**GENERATOR), np.random.SeedSequence(5)).batch(30)
    readout, cells = see(events.particles, SETTINGS)
    # Images keep the leading track of each pixel, at the centre of the pixel.
    tracks = readout.tracks
    event = np.repeat(np.arange(30), np.diff(readout.track_offset))
    row, column = np.floor(tracks["eta"] / PIXEL_ETA), np.floor(tracks["phi"] / PIXEL_PHI)
    tracks["eta"], tracks["phi"] = (row + 0.5) * PIXEL_ETA, (column + 0.5) * PIXEL_PHI
    order = np.lexsort((-tracks["pt"], column, row, event))
    same = np.diff(np.stack([event, row, column])[:, order], axis=1) == 0
    leading = np.sort(order[np.concatenate([[True], ~same.all(axis=0)])])
    offset = np.concatenate([[0], np.cumsum(np.bincount(event[leading], minlength=30))])
    readout = readout._replace(tracks=tracks[leading], track_offset=offset)
    candidates, offset = particle_flow(readout, cells)
    jets = cluster_jets(candidates, offset, events, JetSettings(**SELECTION))
    images = make_images(readout, cells, jets)
    compared = 0
    for jet, event in enumerate(jets.event):
        hits = hits_of(images, jet)
        towers, (_, number) = build_towers(hits), assign_tower_slots(hits)
        number = number[0].numpy()
        of_event = candidates[offset[event] : offset[event + 1]]
        pt = np.hypot(of_event["px"], of_event["py"])
        row = np.floor(np.arcsinh(of_event["pz"] / pt) / PIXEL_ETA / TOWER) - images.ieta[jet] // TOWER + 12
        column = np.floor(np.arctan2(of_event["py"], of_event["px"]) / PIXEL_PHI / TOWER) - images.iphi[jet] // TOWER
        column = (column + 36) % 72 - 36 + 12
        eta, phi = float(hits.window_eta), (images.iphi[jet] + 0.5) * PIXEL_PHI
        x, y, z, e = towers.flow.momenta[0][0].numpy()
        library = np.stack([
            x * np.cos(phi) - y * np.sin(phi), x * np.sin(phi) + y * np.cos(phi),
            z * np.cosh(eta) + e * np.sinh(eta), e * np.cosh(eta) + z * np.sinh(eta),
        ], axis=1)  # fmt: skip
        neutral_ecal = (towers.flow.neutral_fraction * towers.contents[:, 3])[0].numpy()
        dropped = (neutral_ecal > 0) & (neutral_ecal <= MIN_NEUTRAL_ECAL * 1.001)
        for slot in np.flatnonzero((library[:, 3] > 0) & ~dropped):
            here = (row == number[slot] // TOWERS_PER_SIDE) & (column == number[slot] % TOWERS_PER_SIDE)
            total = np.array([of_event[name][here].sum() for name in ("px", "py", "pz", "energy")])
            assert total == pytest.approx(library[slot], rel=1e-4, abs=1e-3)
            compared += 1
    assert len(jets.event) > 20 and compared > 20 * len(jets.event)
