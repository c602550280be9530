"""Fast simulation of a CMS-like tracker, pixel barrel and calorimeters.

Geometry and thresholds follow the general description of CMS (JINST 3 S08004, 2008). docs/detector.md compares
efficiencies and resolutions with those of CMS. ECAL cells have the size of the barrel crystals at every η.

Compiled functions take positions in metres, momenta and energies in GeV, and `kind`, the absolute PDG number, except
in `deposit`. Functions that append take the number `n` of entries so far and return the new number first.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from topmass.simulation.generator import NEUTRINOS, Particles
from topmass.simulation.helix import impact_parameters, to_cylinder, wrap

ECAL_RADIUS, ECAL_HALF_LENGTH = 1.29, 3.17
PIXEL_RADII_2016, PIXEL_RADII_2017, PIXEL_HALF_LENGTH = (0.044, 0.073, 0.102), (0.029, 0.068, 0.109), 0.27
"""Three layers until 2016 (CMS, JINST 5 (2010) P03007), and the inner three of the four since 2017."""
NEIGHBOUR_DR, NEIGHBOUR_PT = 0.02, 0.5
"""ΔR and minimum pT in GeV of charged particles that disturb the reconstruction of a track."""
TRACKER_RADIUS, TRACKER_HALF_LENGTH = 1.10, 2.80
LARGEST_ETA = 3.0
"""Maximum |η|; particles outside leave no signal."""
SMALLEST_PT = 0.1
"""Minimum pT in GeV; particles below curl up in the tracker and leave no signal."""
LATEST_TRACK_RADIUS = 0.60
"""Maximum production radius of a reconstructed track, metres."""
NUCLEON_MASS = 0.938
SHOWER, MINIMUM_IONISING, DIFFUSE, HADRONIC = 0, 1, 2, 3
"""Kinds of deposits: compact ECAL shower, single ECAL crystal, wide ECAL shower, HCAL shower."""


class DetectorSettings(NamedTuple):
    """Adjustable settings of the detector; tesla, GeV.

    Relative resolutions of the calorimeters are stochastic / √E ⊕ constant, in ECAL ⊕ 0.12 GeV / E. That of track pT is
    constant ⊕ slope × pT. Those of impact parameters are constant ⊕ root / √pT ⊕ slope / pT, in cm. The slope of d0
    grows with |η| by a factor, root and slope of dz by its powers 1 and `track_dz_eta_power`, and the ECAL resolution
    by 1 + `ecal_eta_slope` × η². Each charged neighbour of a particle (`NEIGHBOUR_DR`, `NEIGHBOUR_PT`), except one,
    lowers the efficiency of its track by the fraction `track_density_loss`. `pixel_year` chooses the radii of the pixel
    layers.

    The last five are variations: 1 or 0 leaves the detector as it is. `dead_pixel_layer` is 1, 2 or 3, or 0 for none.
    """

    magnetic_field: float
    track_pt_min: float
    track_eta_max: float
    track_efficiency: float
    track_pt_constant: float
    track_pt_slope: float
    ecal_stochastic: float
    ecal_constant: float
    ecal_noise: float
    ecal_zero_suppression: float
    hcal_stochastic: float
    hcal_constant: float
    hcal_noise: float
    hcal_zero_suppression: float
    pixel_efficiency: float
    pixel_year: float
    track_density_loss: float
    track_d0_constant: float
    track_d0_root: float
    track_d0_slope: float
    track_dz_constant: float
    track_dz_root: float
    track_dz_slope: float
    track_dz_eta_power: float
    ecal_eta_slope: float
    track_scale: float = 1.0
    ecal_scale: float = 1.0
    hcal_scale: float = 1.0
    resolution_scale: float = 1.0
    dead_pixel_layer: float = 0.0


class Readout(NamedTuple):
    """Detector response to a batch: flat record arrays, each with the offsets of the events."""

    deposits: np.ndarray
    deposit_offset: np.ndarray
    tracks: np.ndarray
    track_offset: np.ndarray
    pixel_hits: np.ndarray
    pixel_hit_offset: np.ndarray


DEPOSIT = np.dtype([("kind", "i8"), ("eta", "f8"), ("phi", "f8"), ("energy", "f8")])
# `particle` is the index of the generated particle in the batch.
TRACK = np.dtype([("eta", "f8"), ("phi", "f8"), ("pt", "f8"), ("d0", "f8"), ("dz", "f8"), ("particle", "i8")])
PIXEL_HIT = np.dtype([("barrel_layer", "i8"), ("eta", "f8"), ("phi", "f8")])
MOST_DEPOSITS = 3
"""Maximum number of deposits per particle."""


def detect(particles: Particles, settings: DetectorSettings, rng: np.random.Generator) -> Readout:
    """Simulate the detector response to the final particles of a batch."""
    n = len(particles.pdg)
    return _detect(
        particles,
        settings,
        rng,
        np.empty(MOST_DEPOSITS * n, DEPOSIT),
        np.empty(n, TRACK),
        np.empty(len(PIXEL_RADII_2017) * n, PIXEL_HIT),
    )


@njit(cache=True)
def _detect(particles, settings, rng, deposits, tracks, pixel_hits):
    events = len(particles.offset) - 1
    offsets = np.zeros((3, events + 1), np.int64)
    n_deposits = n_tracks = n_hits = 0
    for event in range(events):
        first, last = particles.offset[event], particles.offset[event + 1]
        neighbours = charged_neighbours(particles, first, last, settings.track_density_loss)
        for k in range(first, last):
            kind = abs(particles.pdg[k])
            px, py, pz, energy = particles.px[k], particles.py[k], particles.pz[k], particles.energy[k]
            x, y, z = particles.x[k], particles.y[k], particles.z[k]
            pt = math.hypot(px, py)
            if kind in NEUTRINOS or pt < SMALLEST_PT or abs(math.asinh(pz / pt)) > LARGEST_ETA:
                continue
            charge = charge_of(particles.pdg[k])
            reached, eta, phi = to_cylinder(
                x, y, z, px, py, pz, charge, settings.magnetic_field, ECAL_RADIUS, ECAL_HALF_LENGTH
            )
            if charge != 0:
                n_hits = hit_pixels(pixel_hits, n_hits, x, y, z, px, py, pz, charge, settings, rng)
                efficiency = track_efficiency(kind, pt, math.asinh(pz / pt), math.hypot(x, y), settings)
                loss = settings.track_density_loss * max(0, neighbours[k - first] - 1)
                tracked = rng.random() < efficiency * max(0.0, 1 - loss)
                # A track that does not reach ECAL gets its initial direction.
                at = (eta, phi) if reached > 0 else (math.asinh(pz / pt), math.atan2(py, px))
                # Lost tracks use as many random numbers: another efficiency leaves all other tracks as they are.
                measure_track(tracks[n_tracks], at[0], at[1], x, y, z, px, py, pz, charge, kind, settings, rng)
                tracks[n_tracks].particle = k
                n_tracks += tracked
            if reached == 0:
                continue
            if kind == 22 or kind == 11:
                n_deposits = shower(deposits, n_deposits, eta, phi, x, y, z, px, py, pz, energy, kind, settings, rng)
            elif kind == 13:
                n_deposits = pass_muon(deposits, n_deposits, eta, phi, rng)
            else:
                n_deposits = absorb_hadron(
                    deposits, n_deposits, eta, phi, particles.pdg[k], energy, charge, settings, rng
                )
        offsets[:, event + 1] = n_deposits, n_tracks, n_hits
    return Readout(deposits[:n_deposits], offsets[0], tracks[:n_tracks], offsets[1], pixel_hits[:n_hits], offsets[2])


@njit(cache=True)
def charge_of(pdg):
    """Return the charge of a long-lived particle from its PDG number."""
    kind = abs(pdg)
    if kind == 211 or kind == 321 or kind == 2212 or kind == 3222:
        charge = 1
    elif kind == 11 or kind == 13 or kind == 3112 or kind == 3312 or kind == 3334:
        charge = -1
    else:
        charge = 0
    return charge if pdg > 0 else -charge


@njit(cache=True)
def charged_neighbours(particles, first, last, loss):
    """Return the number of charged particles near each particle of an event; 0 without a loss of tracks."""
    count = np.zeros(last - first, np.int64)
    if loss == 0:
        return count
    rows, eta, phi = np.empty(last - first, np.int64), np.empty(last - first), np.empty(last - first)
    n = 0
    for k in range(first, last):
        pt = math.hypot(particles.px[k], particles.py[k])
        if charge_of(particles.pdg[k]) != 0 and pt > NEIGHBOUR_PT:
            rows[n], eta[n], phi[n] = k, math.asinh(particles.pz[k] / pt), math.atan2(particles.py[k], particles.px[k])
            n += 1
    order = np.argsort(eta[:n])
    for i in range(n):
        for j in range(i + 1, n):
            a, b = order[i], order[j]
            if eta[b] - eta[a] > NEIGHBOUR_DR:
                break
            if math.hypot(eta[b] - eta[a], wrap(phi[b] - phi[a])) < NEIGHBOUR_DR:
                count[rows[a] - first] += 1
                count[rows[b] - first] += 1
    return count


@njit(cache=True)
def hit_pixels(pixel_hits, n, x, y, z, px, py, pz, charge, settings, rng):
    """Append the hits of a charged particle in the three pixel layers."""
    radii = PIXEL_RADII_2016 if settings.pixel_year == 2016 else PIXEL_RADII_2017
    for i in range(len(radii)):
        if math.hypot(x, y) < radii[i] and rng.random() < settings.pixel_efficiency:
            reached, eta, phi = to_cylinder(
                x, y, z, px, py, pz, charge, settings.magnetic_field, radii[i], PIXEL_HALF_LENGTH
            )
            if reached == 1 and i + 1 != settings.dead_pixel_layer:
                hit = pixel_hits[n]
                hit.barrel_layer, hit.eta, hit.phi = i, eta, phi
                n += 1
    return n


@njit(cache=True)
def track_efficiency(kind, pt, eta, radius, settings):
    """Return the track efficiency, which is lower for low-pT, forward and displaced particles; radius in metres."""
    if abs(eta) > settings.track_eta_max or pt < settings.track_pt_min or radius > LATEST_TRACK_RADIUS:
        return 0.0
    efficiency = settings.track_efficiency
    if kind == 13:
        efficiency += 0.04
    elif kind == 11:
        efficiency -= 0.02
    elif pt < 1:
        efficiency -= (0.15 if abs(eta) < 1.5 else 0.30) * (1 - pt) / 0.6
    if abs(eta) > 1.5:
        efficiency -= 0.04
    if radius > 0.02:
        efficiency *= max(0.0, 1 - (radius - 0.02) / (LATEST_TRACK_RADIUS - 0.02))
    return efficiency


@njit(cache=True)
def measure_track(track, eta, phi, x, y, z, px, py, pz, charge, kind, settings, rng):
    """Fill `track`; d0 and dz in cm."""
    pt = math.hypot(px, py)
    worse = 1 + 0.9 * max(0.0, abs(math.asinh(pz / pt)) - 0.9)
    resolution = math.hypot(settings.track_pt_constant * worse, settings.track_pt_slope * pt * worse)
    if kind == 11:
        resolution = math.hypot(resolution, 0.02)
    d0, dz = impact_parameters(x, y, z, px, py, pz, charge, settings.magnetic_field)
    track.eta, track.phi = eta, phi
    track.pt = settings.track_scale * pt * max(0.05, rng.normal(1, settings.resolution_scale * resolution))
    root = settings.track_d0_root / math.sqrt(pt)
    sigma = math.hypot(math.hypot(settings.track_d0_constant, root), settings.track_d0_slope * worse / pt)
    track.d0 = 100 * d0 + rng.normal(0, sigma)
    root = settings.track_dz_root * worse / math.sqrt(pt)
    slope = settings.track_dz_slope * worse**settings.track_dz_eta_power / pt
    track.dz = 100 * dz + rng.normal(0, math.hypot(math.hypot(settings.track_dz_constant, root), slope))


@njit(cache=True)
def deposit(deposits, n, kind, eta, phi, energy):
    """Append a deposit."""
    here = deposits[n]
    here.kind, here.eta, here.phi, here.energy = kind, eta, phi, energy
    return n + 1


@njit(cache=True)
def shower(deposits, n, eta, phi, x, y, z, px, py, pz, energy, kind, settings, rng):
    """Append the ECAL shower of an electron or photon; a photon may convert in the tracker to two electrons."""
    pt = math.hypot(px, py)
    resolution = math.sqrt(settings.ecal_stochastic**2 * energy + 0.12**2 + (settings.ecal_constant * energy) ** 2)
    resolution *= 1 + settings.ecal_eta_slope * math.asinh(pz / pt) ** 2
    seen = settings.ecal_scale * max(0.0, rng.normal(energy, settings.resolution_scale * resolution))
    if kind == 22 and energy > 0.2:
        # Tracker material t in radiation lengths; a photon converts with probability 1 − exp(−7/9 t).
        material = 1.3 * (0.25 + 0.20 * min(2.0, abs(math.asinh(pz / pt))))
        if rng.random() < 1 - math.exp(-7 / 9 * material):
            furthest = min(TRACKER_RADIUS, TRACKER_HALF_LENGTH * pt / max(abs(pz), 1e-9))
            step = rng.uniform(0.04, furthest) - math.hypot(x, y)
            share = rng.random()
            if step > 0:
                for charge in (1, -1):
                    part = share if charge > 0 else 1 - share
                    reached, eta_e, phi_e = to_cylinder(
                        x + step * px / pt, y + step * py / pt, z + step * pz / pt, px * part, py * part, pz * part,
                        charge, settings.magnetic_field, ECAL_RADIUS, ECAL_HALF_LENGTH,
                    )  # fmt: skip
                    if reached > 0:
                        n = deposit(deposits, n, SHOWER, eta_e, phi_e, seen * part)
                return n
    return deposit(deposits, n, SHOWER, eta, phi, seen)


@njit(cache=True)
def pass_muon(deposits, n, eta, phi, rng):
    """Append the deposits of a muon: minimum-ionising in ECAL, about 2 GeV in HCAL."""
    n = deposit(deposits, n, MINIMUM_IONISING, eta, phi, 0.25 + rng.exponential(0.12))
    return deposit(deposits, n, HADRONIC, eta, phi, max(0.0, rng.normal(2, 0.6)))


@njit(cache=True)
def absorb_hadron(deposits, n, eta, phi, pdg, energy, charge, settings, rng):
    """Append the deposits of a hadron; two thirds of the hadrons interact in ECAL, the remaining energy is in HCAL.

    The response decreases at low energy, as in non-compensating calorimeters.
    """
    available = energy
    if abs(pdg) == 2212 or abs(pdg) == 2112:
        # The rest mass of protons and neutrons is not absorbed; antinucleons annihilate.
        available = max(0.0, energy - NUCLEON_MASS) if pdg > 0 else energy + NUCLEON_MASS
    response = 1 - 0.55 * (1 + available) ** -0.35
    resolution = math.sqrt(settings.hcal_stochastic**2 * available + (settings.hcal_constant * available) ** 2)
    seen = max(0.0, rng.normal(response * available, settings.resolution_scale * resolution))
    in_ecal = 0.0
    if rng.random() < 0.67:
        in_ecal = seen * rng.beta(1.3, 1.7)
        compact = 0.7 * rng.random()
        n = deposit(deposits, n, SHOWER, eta, phi, settings.ecal_scale * in_ecal * compact)
        n = deposit(deposits, n, DIFFUSE, eta, phi, settings.ecal_scale * in_ecal * (1 - compact))
    elif charge != 0:
        n = deposit(deposits, n, MINIMUM_IONISING, eta, phi, 0.25 + rng.exponential(0.12))
    return deposit(deposits, n, HADRONIC, eta, phi, settings.hcal_scale * (seen - in_ecal))
