"""What particles leave in the detector: nothing, tracks, hits or energy, in the right place and amount."""

import math

import awkward as ak
import numpy as np
import pytest
import pythia8mc

from simulation_settings import DETECTOR, GENERATOR
from topmass.simulation import detector as detector_module
from topmass.simulation.detector import (
    DIFFUSE,
    HADRONIC,
    MINIMUM_IONISING,
    SHOWER,
    DetectorSettings,
    Readout,
    charge_of,
    detect,
)
from topmass.simulation.generator import Generator, GeneratorSettings, Particles
from topmass.simulation.helix import to_cylinder

SETTINGS = DetectorSettings(**DETECTOR)
PERFECT = SETTINGS._replace(track_efficiency=1.0, pixel_efficiency=1.0)
PHOTON, ELECTRON, MUON, PION, KAON_LONG, NEUTRON, PROTON = 22, 11, 13, 211, 130, 2112, 2212
MASS = {PHOTON: 0.0, ELECTRON: 0.0005, MUON: 0.1057, PION: 0.1396, KAON_LONG: 0.4976, NEUTRON: 0.9396, PROTON: 0.9383}


def fire(pdg: int, pt: float, eta: float = 0.5, n: int = 1, phi: float = 0.3, at: tuple = (0.0, 0.0, 0.0)) -> Particles:
    """n equal particles, one an event."""
    energy = math.hypot(pt * math.cosh(eta), MASS.get(abs(pdg), 0.0))
    momentum = (pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta), energy)
    return Particles(np.arange(n + 1), np.full(n, pdg, np.int32), *(np.full(n, value) for value in (*momentum, *at)))


def see(particles: Particles, settings: DetectorSettings = PERFECT, seed: int = 1) -> Readout:
    """The detector's answer, with random numbers of its own."""
    return detect(particles, settings, np.random.default_rng(seed))


def counts(readout: Readout) -> tuple[int, int, int]:
    """Numbers of deposits, tracks and pixel hits."""
    return len(readout.deposits), len(readout.tracks), len(readout.pixel_hits)


def energy_by_event(readout: Readout) -> np.ndarray:
    """Sum of all deposits of each event, GeV."""
    return ak.to_numpy(ak.sum(ak.unflatten(readout.deposits["energy"], np.diff(readout.deposit_offset)), axis=1))


@pytest.mark.parametrize("pdg", [12, -14, 16])
def test_neutrinos_leave_nothing(pdg):
    assert counts(see(fire(pdg, pt=50, n=20))) == (0, 0, 0)


@pytest.mark.parametrize(("pt", "eta"), [(0.09, 0.0), (20.0, 3.1), (20.0, -3.1)])
def test_what_is_too_slow_or_too_forward_leaves_nothing(pt, eta):
    assert counts(see(fire(PION, pt, eta, n=20))) == (0, 0, 0)


@pytest.mark.parametrize("pdg", [PHOTON, KAON_LONG, NEUTRON])
def test_neutral_particles_leave_energy_but_no_track_and_no_pixel_hit(pdg):
    deposits, tracks, pixel_hits = counts(see(fire(pdg, pt=50, n=20)))
    assert deposits >= 20
    assert tracks == pixel_hits == 0


def test_a_muon_leaves_a_track_a_thin_trace_in_ecal_and_two_gev_in_hcal():
    readout = see(fire(MUON, pt=50, n=2000))
    assert counts(readout) == (4000, 2000, 6000)
    in_ecal, in_hcal = (readout.deposits["energy"][readout.deposits["kind"] == k] for k in (MINIMUM_IONISING, HADRONIC))
    assert in_ecal.min() > 0.2 and in_ecal.mean() == pytest.approx(0.37, rel=0.05)
    assert in_hcal.mean() == pytest.approx(2, rel=0.05)


def test_the_charges_are_those_that_pythia_knows():
    particles = Generator(GeneratorSettings(**GENERATOR), np.random.SeedSequence(1)).batch(50).particles
    data = pythia8mc.Pythia("", False).particleData
    kinds = set(particles.pdg.tolist())
    assert len(kinds) > 15
    assert {pdg: charge_of(pdg) for pdg in kinds} == {pdg: data.charge(pdg) for pdg in kinds}


def test_a_prompt_charged_particle_hits_each_pixel_layer_where_its_path_crosses_it():
    readout = see(fire(PION, pt=1.5, eta=-0.8))
    assert readout.pixel_hits["barrel_layer"].tolist() == [0, 1, 2]
    for hit, radius in zip(readout.pixel_hits, (0.029, 0.068, 0.109), strict=True):
        momentum = (1.5 * math.cos(0.3), 1.5 * math.sin(0.3), 1.5 * math.sinh(-0.8))
        crossing = to_cylinder(0.0, 0.0, 0.0, *momentum, 1, SETTINGS.magnetic_field, radius, 0.27)
        assert (hit["eta"], hit["phi"]) == pytest.approx(crossing[1:])


def test_a_particle_born_between_pixel_layers_hits_the_outer_ones_only():
    readout = see(fire(PION, pt=20, phi=0, at=(0.05, 0.0, 0.0)))
    assert readout.pixel_hits["barrel_layer"].tolist() == [1, 2]


def test_a_forward_particle_misses_the_outer_pixel_layers():
    assert see(fire(PION, pt=20, eta=2.2)).pixel_hits["barrel_layer"].tolist() == [0]


@pytest.mark.parametrize("efficiency", [0.0, 0.3, 0.985])
def test_pixel_hits_are_as_frequent_as_the_efficiency_says(efficiency):
    n = 3000
    found = len(see(fire(PION, pt=20, n=n), PERFECT._replace(pixel_efficiency=efficiency)).pixel_hits)
    assert abs(found - 3 * n * efficiency) <= 5 * math.sqrt(3 * n * efficiency * (1 - efficiency))


@pytest.mark.parametrize(
    ("particle", "expected"),
    [
        ({"pdg": PION, "pt": 20}, 0.8),
        ({"pdg": MUON, "pt": 20}, 0.84),
        ({"pdg": ELECTRON, "pt": 20}, 0.78),
        ({"pdg": PION, "pt": 0.4}, 0.65),
        ({"pdg": PION, "pt": 20, "eta": 2.0}, 0.76),
        ({"pdg": PION, "pt": 0.8, "eta": 2.0}, 0.66),
        ({"pdg": PION, "pt": 20, "at": (0.31, 0.0, 0.0)}, 0.4),
        ({"pdg": PION, "pt": 20, "at": (0.0, 0.61, 0.0)}, 0.0),
        ({"pdg": PION, "pt": 0.39}, 0.0),
        ({"pdg": PION, "pt": 20, "eta": 2.6}, 0.0),
    ],
)
def test_tracks_are_found_with_the_efficiency_of_their_kind_momentum_and_place(particle, expected):
    n = 4000
    tracks = len(see(fire(**particle, n=n), SETTINGS._replace(track_efficiency=0.8)).tracks)
    assert abs(tracks - n * expected) <= 5 * math.sqrt(n * expected * (1 - expected))


def test_a_track_is_measured_within_its_resolution_and_placed_where_it_meets_ecal():
    pt, n = 10.0, 4000
    tracks = see(fire(PION, pt, n=n)).tracks
    spread = {"pt": math.hypot(0.007, 1.5e-4 * pt) * pt}
    spread |= {"d0": math.hypot(15e-4, 85e-4 / pt), "dz": math.hypot(35e-4, 100e-4 / pt)}
    for name, true in {"pt": pt, "d0": 0.0, "dz": 0.0}.items():
        assert tracks[name].std() == pytest.approx(spread[name], rel=0.06)
        assert tracks[name].mean() == pytest.approx(true, abs=5 * spread[name] / math.sqrt(n))
    momentum = (pt * math.cos(0.3), pt * math.sin(0.3), pt * math.sinh(0.5))
    _, eta, phi = to_cylinder(0.0, 0.0, 0.0, *momentum, 1, SETTINGS.magnetic_field, 1.29, 3.17)
    assert tracks["eta"] == pytest.approx(eta) and tracks["phi"] == pytest.approx(phi)


def test_impact_parameters_of_displaced_tracks_are_given_in_centimetres():
    tracks = see(fire(PION, pt=200, n=500, phi=0, eta=0, at=(0.0, 0.002, 0.01))).tracks
    assert tracks["d0"].mean() == pytest.approx(-0.2, abs=0.001)
    assert tracks["dz"].mean() == pytest.approx(1.0, abs=0.001)


def test_an_electron_leaves_its_energy_in_ecal_within_the_resolution():
    energy, n = 40 * math.cosh(0.5), 3000
    deposits = see(fire(ELECTRON, pt=40, n=n)).deposits
    assert set(deposits["kind"]) == {SHOWER} and len(deposits) == n
    spread = math.sqrt(0.028**2 * energy + 0.12**2 + (0.004 * energy) ** 2)
    assert deposits["energy"].mean() == pytest.approx(energy, abs=5 * spread / math.sqrt(n))
    assert deposits["energy"].std() == pytest.approx(spread, rel=0.07)


def test_photons_convert_as_often_as_the_radiation_lengths_say_and_share_their_energy():
    n = 4000
    readout = see(fire(PHOTON, pt=50, eta=0.0, n=n))
    chance = 1 - math.exp(-7 / 9 * 1.3 * 0.25)
    converted = np.diff(readout.deposit_offset) == 2
    assert abs(converted.sum() - n * chance) <= 5 * math.sqrt(n * chance * (1 - chance))
    energy = energy_by_event(readout)
    assert energy.min() > 40
    assert energy[converted].mean() == pytest.approx(energy[~converted].mean(), rel=0.002)
    positron = readout.deposit_offset[:-1][converted]
    assert (readout.deposits["phi"][positron] < 0.3).all() and (readout.deposits["phi"][positron + 1] > 0.3).all()


@pytest.mark.parametrize("eta", [1.0, 2.0, 2.5])
def test_energetic_photons_are_seen_at_every_eta(eta):
    """A photon that leaves the tracker through its end must not convert beyond it."""
    energy = energy_by_event(see(fire(PHOTON, pt=20, eta=eta, n=2000)))
    assert energy.mean() == pytest.approx(20 * math.cosh(eta), rel=0.01)


@pytest.mark.parametrize(("pdg", "kept"), [(KAON_LONG, 0.0), (PROTON, -0.938), (-PROTON, 0.938), (-NEUTRON, 0.938)])
def test_hadrons_leave_their_available_energy_times_the_response(pdg, kept):
    n = 4000
    particles = fire(pdg, pt=10, n=n)
    readout = see(particles, PERFECT._replace(hcal_stochastic=0.0, hcal_constant=0.0))
    available = particles.energy[0] + kept
    hadronic = readout.deposits[readout.deposits["kind"] != MINIMUM_IONISING]
    assert hadronic["energy"].sum() / n == pytest.approx(available * (1 - 0.55 * (1 + available) ** -0.35))
    interacting = np.count_nonzero(readout.deposits["kind"] == DIFFUSE)
    assert abs(interacting - 0.67 * n) < 5 * math.sqrt(0.67 * 0.33 * n)
    assert (readout.deposits["energy"] >= 0).all()


def test_events_are_kept_apart_and_in_order():
    particles = Generator(GeneratorSettings(**GENERATOR), np.random.SeedSequence(2)).batch(3).particles
    readout = see(particles)
    for name in ("deposit", "track", "pixel_hit"):
        offset = getattr(readout, f"{name}_offset")
        assert offset[0] == 0 and offset[-1] == len(getattr(readout, f"{name}s"))
        assert (np.diff(offset) > 0).all()
    first = Particles(particles.offset[:2], *particles[1:])
    alone = see(first)
    assert np.array_equal(alone.deposits, readout.deposits[: readout.deposit_offset[1]])
    assert alone.tracks.tobytes() == readout.tracks[: readout.track_offset[1]].tobytes()


def test_the_same_random_numbers_give_the_same_readout():
    first, again, other = (see(fire(PHOTON, pt=20, n=50), SETTINGS, seed) for seed in (7, 7, 8))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.deposits, other.deposits)
    assert np.diff(first.deposit_offset).max() <= detector_module.MOST_DEPOSITS


NEUTRAL = {"track_scale": 1.0, "ecal_scale": 1.0, "hcal_scale": 1.0, "resolution_scale": 1.0, "dead_pixel_layer": 0.0}


def test_variations_are_neutral_by_default():
    assert DetectorSettings(**{name: value for name, value in DETECTOR.items() if name not in NEUTRAL}) == SETTINGS
    assert {name: DETECTOR[name] for name in NEUTRAL} == NEUTRAL


@pytest.mark.parametrize(
    ("pdg", "scale", "field"),
    [(PION, "track_scale", "tracks"), (PHOTON, "ecal_scale", "deposits"), (KAON_LONG, "hcal_scale", "deposits")],
)
def test_a_scale_of_1_01_moves_the_response_by_one_percent(pdg, scale, field):
    before, after = (see(fire(pdg, pt=50, n=200), PERFECT._replace(**{scale: value})) for value in (1.0, 1.01))
    name = "pt" if field == "tracks" else "energy"
    before, after = (getattr(readout, field) for readout in (before, after))
    if pdg == KAON_LONG:
        before, after = (deposits[deposits["kind"] == HADRONIC] for deposits in (before, after))
    assert after[name] == pytest.approx(1.01 * before[name])


def test_both_calorimeter_scales_together_move_neutral_hadrons_by_one_percent():
    before, after = (
        energy_by_event(see(fire(KAON_LONG, pt=50, n=200), PERFECT._replace(ecal_scale=value, hcal_scale=value)))
        for value in (1.0, 1.01)
    )
    assert after == pytest.approx(1.01 * before)


def test_resolution_scale_is_a_factor_of_the_resolution():
    narrow, wide = (
        energy_by_event(see(fire(PHOTON, pt=50, n=4000), PERFECT._replace(resolution_scale=value)))
        for value in (1.0, 2.0)
    )
    energy = 50 * math.cosh(0.5)
    assert wide - energy == pytest.approx(2 * (narrow - energy))


@pytest.mark.parametrize("dead", [1, 2, 3])
def test_a_dead_pixel_layer_has_no_hits(dead):
    readout = see(fire(PION, pt=20, n=50), PERFECT._replace(dead_pixel_layer=float(dead)))
    assert sorted(set(readout.pixel_hits["barrel_layer"].tolist())) == [
        layer for layer in range(3) if layer != dead - 1
    ]
    assert readout.tracks.tobytes() == see(fire(PION, pt=20, n=50)).tracks.tobytes()


def bundle(n: int, spacing: float) -> Particles:
    """One event with n pions of 20 GeV, side by side in φ."""
    one = fire(PION, pt=20)
    phi = 0.3 + spacing * np.arange(n)
    columns = {name: np.repeat(getattr(one, name), n) for name in Particles._fields[1:]}
    columns |= {"px": 20 * np.cos(phi), "py": 20 * np.sin(phi)}
    return Particles(np.array([0, n]), **columns)


@pytest.mark.parametrize(("spacing", "neighbours"), [(0.001, 9), (0.1, 0)])
def test_each_charged_neighbour_but_one_costs_a_fraction_of_the_track_efficiency(spacing, neighbours):
    settings = PERFECT._replace(track_density_loss=0.05)
    tracks = [len(see(bundle(10, spacing), settings, seed).tracks) for seed in range(200)]
    expected = 1 - 0.05 * max(0, neighbours - 1)
    assert np.mean(tracks) / 10 == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 2000))
    assert len(see(bundle(10, spacing)).tracks) == 10


def test_the_pixel_year_chooses_the_radii_of_the_layers():
    for year, radii in ((2016, detector_module.PIXEL_RADII_2016), (2017, detector_module.PIXEL_RADII_2017)):
        readout = see(fire(PION, pt=1.5), PERFECT._replace(pixel_year=float(year)))
        for hit, radius in zip(readout.pixel_hits, radii, strict=True):
            momentum = (1.5 * math.cos(0.3), 1.5 * math.sin(0.3), 1.5 * math.sinh(0.5))
            crossing = to_cylinder(0.0, 0.0, 0.0, *momentum, 1, SETTINGS.magnetic_field, radius, 0.27)
            assert (hit["eta"], hit["phi"]) == pytest.approx(crossing[1:])


@pytest.mark.parametrize("name", ["d0", "dz"])
def test_resolutions_of_impact_parameters_have_the_terms_of_the_settings(name):
    terms = {f"track_{name}_constant": 0.002, f"track_{name}_root": 0.004, f"track_{name}_slope": 0.006}
    for pt in (1.0, 4.0):
        tracks = see(fire(PION, pt, n=4000), PERFECT._replace(**terms)).tracks
        expected = math.hypot(0.002, 0.004 / math.sqrt(pt), 0.006 / pt)
        assert tracks[name].std() == pytest.approx(expected, rel=0.05)


def test_the_ecal_resolution_grows_with_eta():
    def width(eta: float, slope: float) -> float:
        return energy_by_event(see(fire(PHOTON, 50, eta, n=3000), PERFECT._replace(ecal_eta_slope=slope))).std()

    assert width(2.0, 0.5) / width(2.0, 0.0) == pytest.approx(3, rel=0.1)
    assert width(0.01, 0.5) / width(0.01, 0.0) == pytest.approx(1, rel=0.1)


def test_another_track_efficiency_leaves_all_other_measurements_as_they_are():
    particles = Generator(GeneratorSettings(**GENERATOR), np.random.SeedSequence(3)).batch(5).particles
    before, after = (see(particles, SETTINGS._replace(track_efficiency=value)) for value in (0.95, 0.92))
    assert before.deposits.tobytes() == after.deposits.tobytes()
    assert before.pixel_hits.tobytes() == after.pixel_hits.tobytes()
    common = np.isin(before.tracks["particle"], after.tracks["particle"])
    assert before.tracks[common].tobytes() == after.tracks.tobytes() and len(after.tracks) < len(before.tracks)
