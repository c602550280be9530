"""Particle flow on the readout: candidates from tracks, ECAL crystals and HCAL towers.

The definition is that of `topmass.features.particle_flow` for images, in all towers of the detector.
"""

import math

import numpy as np
from numba import njit

from topmass.layers import PIXEL_ETA, PIXEL_PHI, TOWER
from topmass.simulation.calorimeters import N_ETA, N_PHI, Cells
from topmass.simulation.detector import LARGEST_ETA, Readout

# The dz of a candidate's track is NaN if it has none.
CANDIDATE = np.dtype([("px", "f8"), ("py", "f8"), ("pz", "f8"), ("energy", "f8"), ("dz", "f8")])
CALO_RESPONSE = 0.8
"""Assumed fraction of the energy of a track that the calorimeters measure; a test compares it with the library's."""
MIN_NEUTRAL_ECAL = 0.23
"""Minimum neutral ECAL energy of a tower, GeV: the seed threshold of clusters in CMS (JINST 12 (2017) P10003)."""


def particle_flow(readout: Readout, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidates (CANDIDATE) of a batch of events and their offsets (events + 1,).

    Each track is a candidate. The neutral ECAL energy of a tower is one candidate in the direction of its centroid. The
    neutral HCAL energy has the direction of the tower's tracks, else that of the ECAL centroid. All are massless.
    """
    return _particle_flow(
        readout.tracks, readout.track_offset, cells.crystals, cells.crystal_offset, cells.towers, cells.tower_offset
    )


@njit(cache=True)
def _particle_flow(tracks, track_offset, crystals, crystal_offset, towers, tower_offset):
    events, columns = len(track_offset) - 1, N_PHI // TOWER
    candidates = np.empty(len(tracks) + len(crystals) + len(towers), CANDIDATE)
    offset = np.zeros(events + 1, np.int64)
    n_towers = N_ETA // TOWER * columns
    # px, py, pz, energy of the tracks; ECAL energy, its moments in η and φ from a corner of the tower; HCAL energy.
    sums = np.zeros((n_towers, 8))
    touched, is_touched = np.empty(n_towers, np.int64), np.zeros(n_towers, np.bool_)
    n = 0
    for event in range(events):
        n_touched = 0
        for k in range(track_offset[event], track_offset[event + 1]):
            track = tracks[k]
            n = append_candidate(candidates, n, track.pt, track.eta, track.phi, track.dz)
            if abs(track.eta) > LARGEST_ETA:
                continue
            ieta = math.floor(track.eta / PIXEL_ETA / TOWER) + N_ETA // TOWER // 2
            tower = ieta * columns + math.floor(track.phi / PIXEL_PHI / TOWER) % columns
            n_touched = touch(touched, is_touched, n_touched, tower)
            sums_of_tower = sums[tower]
            sums_of_tower[0] += track.pt * math.cos(track.phi)
            sums_of_tower[1] += track.pt * math.sin(track.phi)
            sums_of_tower[2] += track.pt * math.sinh(track.eta)
            sums_of_tower[3] += track.pt * math.cosh(track.eta)
        for k in range(crystal_offset[event], crystal_offset[event + 1]):
            row, column, energy = crystals[k].ieta + N_ETA // 2, crystals[k].iphi, crystals[k].energy
            tower = row // TOWER * columns + column // TOWER
            n_touched = touch(touched, is_touched, n_touched, tower)
            sums[tower, 4] += energy
            sums[tower, 5] += energy * (row % TOWER + 0.5)
            sums[tower, 6] += energy * (column % TOWER + 0.5)
        for k in range(tower_offset[event], tower_offset[event + 1]):
            tower = (towers[k].ieta + N_ETA // TOWER // 2) * columns + towers[k].iphi
            n_touched = touch(touched, is_touched, n_touched, tower)
            sums[tower, 7] += towers[k].energy
        for tower in touched[:n_touched]:
            n = append_neutrals(candidates, n, tower // columns - N_ETA // TOWER // 2, tower % columns, sums[tower])
            sums[tower], is_touched[tower] = 0, False
        offset[event + 1] = n
    return candidates[:n].copy(), offset


@njit(cache=True)
def touch(touched, is_touched, n, tower):
    """Append a tower to the list of towers with a signal, and return their number."""
    if not is_touched[tower]:
        is_touched[tower], touched[n] = True, tower
        n += 1
    return n


@njit(cache=True)
def append_candidate(candidates, n, pt, eta, phi, dz):
    """Append a massless candidate and return the new number of candidates."""
    new = candidates[n]
    new.px, new.py, new.pz = pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)
    new.energy, new.dz = pt * math.cosh(eta), dz
    return n + 1


@njit(cache=True)
def append_neutrals(candidates, n, ieta, iphi, sums):
    """Append the neutral candidates of the tower at these indices, from its sums in `_particle_flow`."""
    px, py, pz, track_energy, ecal, eta, phi, hcal = sums
    eta, phi = (eta / ecal, phi / ecal) if ecal > 0 else (TOWER / 2, TOWER / 2)
    eta, phi = (ieta * TOWER + eta) * PIXEL_ETA, (iphi * TOWER + phi) * PIXEL_PHI
    expected = CALO_RESPONSE * track_energy
    neutral_ecal = ecal - max(expected - hcal, 0.0)
    neutral_hcal = hcal - expected
    if neutral_ecal > MIN_NEUTRAL_ECAL:
        n = append_candidate(candidates, n, neutral_ecal / math.cosh(eta), eta, phi, math.nan)
    if neutral_hcal > 0 and neutral_hcal >= math.sqrt(track_energy):
        if track_energy > 0:
            # Massless, with the rapidity of the tracks.
            eta, phi = math.atanh(pz / track_energy), math.atan2(py, px)
        n = append_candidate(candidates, n, neutral_hcal / math.cosh(eta), eta, phi, math.nan)
    return n
