"""Sparse jet images: one window per jet, several detector layers."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE, TOWER
from topmass.simulation.clustering import Jets
from topmass.simulation.detector import DIFFUSE, HADRONIC, MINIMUM_IONISING, DetectorSettings, Readout

N_PHI = 360
"""Pixels of the full circle in φ."""
TOWERS = SIDE // TOWER
SEED_SEARCH_TOWERS = 4
"""Maximum distance of the seed tower, on which the window is centred, from the jet axis in η and in φ; towers."""
SHOWER_MARGIN = 4
"""Maximum distance in pixels at which a shower outside the window can still reach into it."""
TRACK_PT, TRACK_DZ, TRACK_D0, ECAL, HCAL, BPIX1 = range(6)
HIT = np.dtype([("pixel", "u2"), ("layer", "u1"), ("value", "f4")])


class Images(NamedTuple):
    """Sparse images of N jets.

    Attributes:
        offset: Offsets (N + 1,); the hits of jet i are `hits[offset[i]:offset[i + 1]]`.
        hits: Non-zero values (HIT), ordered by jet, layer and pixel.
        ieta: Central pixel (N,) of the seed tower and of the window, counted from η = 0.
        iphi: The same in φ, counted from φ = 0.
    """

    offset: np.ndarray
    hits: np.ndarray
    ieta: np.ndarray
    iphi: np.ndarray


def make_images(readout: Readout, jets: Jets, settings: DetectorSettings, rng: np.random.Generator) -> Images:
    """Return the image of each jet; values in the units of `topmass.layers`, HCAL per pixel as in the CMS files."""
    return _make_images(readout, jets.event, jets.eta, jets.phi, settings, rng)


@njit(cache=True)
def _make_images(readout, event, eta, phi, settings, rng):
    jets = len(event)
    hits = np.empty(1000 * jets + 2 * SIDE**2, HIT)
    offset = np.zeros(jets + 1, np.int64)
    ieta, iphi = np.empty(jets, np.int16), np.empty(jets, np.int16)
    planes = np.zeros((3, SIDE * SIDE))
    n = 0
    for j in range(jets):
        deposits = readout.deposits[readout.deposit_offset[event[j]] : readout.deposit_offset[event[j] + 1]]
        tracks = readout.tracks[readout.track_offset[event[j]] : readout.track_offset[event[j] + 1]]
        pixel_hits = readout.pixel_hits[readout.pixel_hit_offset[event[j]] : readout.pixel_hit_offset[event[j] + 1]]
        tower_eta, tower_phi = hottest_tower(deposits, eta[j], phi[j])
        ieta[j] = tower_eta * TOWER + TOWER // 2
        iphi[j] = (tower_phi * TOWER + TOWER // 2) % N_PHI
        first_eta, first_phi = ieta[j] - SIDE // 2, iphi[j] - SIDE // 2
        most = n + 3 * len(tracks) + SIDE**2 + TOWERS**2 + len(pixel_hits)
        if most > len(hits):
            hits = np.concatenate((hits, np.empty(most, HIT)))
        n = image_tracks(hits, n, planes, tracks, first_eta, first_phi)
        n = image_calorimeters(hits, n, planes[0], deposits, first_eta, first_phi, settings, rng)
        n = image_pixels(hits, n, planes[0], pixel_hits, first_eta, first_phi)
        offset[j + 1] = n
    return Images(offset, hits[:n], ieta, iphi)


@njit(cache=True)
def append_hit(hits, n, pixel, layer, value):
    """Append a non-zero value and return the new number of values."""
    here = hits[n]
    here.pixel, here.layer, here.value = pixel, layer, value
    return n + 1


@njit(cache=True)
def to_window(eta, phi, first_eta, first_phi):
    """Return row and column relative to the first pixel of the window, in pixels; columns are periodic in φ."""
    column = (phi / PIXEL_PHI - first_phi) % N_PHI
    return eta / PIXEL_ETA - first_eta, column - N_PHI if column > N_PHI - 2 * SHOWER_MARGIN else column


@njit(cache=True)
def pixel_of(eta, phi, first_eta, first_phi):
    """Return the index of the pixel at this position, −1 outside the window."""
    row, column = to_window(eta, phi, first_eta, first_phi)
    return int(row) * SIDE + int(column) if 0 <= row < SIDE and 0 <= column < SIDE else -1


@njit(cache=True)
def hottest_tower(deposits, eta, phi):
    """Return η and φ index of the tower with the highest HCAL energy near the jet axis; without energy, of the axis."""
    axis_eta, axis_phi = math.floor(eta / (TOWER * PIXEL_ETA)), math.floor(phi / (TOWER * PIXEL_PHI))
    first_eta, first_phi = (axis_eta - TOWERS // 2) * TOWER, (axis_phi - TOWERS // 2) * TOWER
    energy = np.zeros((TOWERS, TOWERS))
    first, last = TOWERS // 2 - SEED_SEARCH_TOWERS, TOWERS // 2 + SEED_SEARCH_TOWERS
    for k in range(len(deposits)):
        if deposits[k].kind == HADRONIC:
            row, column = to_window(deposits[k].eta, deposits[k].phi, first_eta, first_phi)
            row, column = row / TOWER, column / TOWER
            # A deposit also reaches the adjacent towers.
            if first - 1 <= row < last + 2 and first - 1 <= column < last + 2:
                spread_hcal_shower(energy, row, column, deposits[k].energy)
    near = energy[first : last + 1, first : last + 1].copy()
    hottest = np.argmax(near)
    if near.max() == 0:
        return axis_eta, axis_phi
    return axis_eta - SEED_SEARCH_TOWERS + hottest // near.shape[
        1
    ], axis_phi - SEED_SEARCH_TOWERS + hottest % near.shape[1]


@njit(cache=True)
def image_tracks(hits, n, planes, tracks, first_eta, first_phi):
    """Append pT, dz and d0 of the leading track in each pixel."""
    touched = np.empty(len(tracks), np.int64)
    seen = 0
    for k in range(len(tracks)):
        pixel = pixel_of(tracks[k].eta, tracks[k].phi, first_eta, first_phi)
        if pixel >= 0 and tracks[k].pt > planes[TRACK_PT, pixel]:
            if planes[TRACK_PT, pixel] == 0:
                touched[seen] = pixel
                seen += 1
            planes[TRACK_PT, pixel], planes[TRACK_DZ, pixel], planes[TRACK_D0, pixel] = (
                tracks[k].pt,
                tracks[k].dz,
                tracks[k].d0,
            )
    pixels = np.sort(touched[:seen])
    for layer in (TRACK_PT, TRACK_DZ, TRACK_D0):
        for pixel in pixels:
            n = append_hit(hits, n, pixel, layer, planes[layer, pixel])
            planes[layer, pixel] = 0
    return n


@njit(cache=True)
def image_pixels(hits, n, plane, pixel_hits, first_eta, first_phi):
    """Append the number of hits in each of the three pixel layers."""
    touched = np.empty(len(pixel_hits), np.int64)
    for barrel_layer in range(3):
        seen = 0
        for k in range(len(pixel_hits)):
            if pixel_hits[k].barrel_layer != barrel_layer:
                continue
            pixel = pixel_of(pixel_hits[k].eta, pixel_hits[k].phi, first_eta, first_phi)
            if pixel >= 0:
                if plane[pixel] == 0:
                    touched[seen] = pixel
                    seen += 1
                plane[pixel] += 1
        for pixel in np.sort(touched[:seen]):
            n = append_hit(hits, n, pixel, BPIX1 + barrel_layer, plane[pixel])
            plane[pixel] = 0
    return n


@njit(cache=True)
def laplace(x, width):
    """Return the cumulative Laplace distribution of this width at x."""
    return 0.5 * math.exp(x / width) if x < 0 else 1 - 0.5 * math.exp(-x / width)


@njit(cache=True)
def cell_fractions(parts, first, at, width):
    """Fill `parts` with the fractions of a Laplace distribution around `at` in the cells from `first` on."""
    below = laplace(first - at, width)
    for i in range(len(parts)):
        above = laplace(first + i + 1 - at, width)
        parts[i] = above - below
        below = above


@njit(cache=True)
def spread_ecal_shower(plane, row, column, energy, core, tail, weight, reach):
    """Distribute energy over crystals with a sum of two Laplace profiles; widths in crystals."""
    first_row, first_column = math.floor(row) - reach, math.floor(column) - reach
    across = np.empty((2, 2, 2 * reach + 1))
    for part, width in enumerate((core, tail)):
        cell_fractions(across[part, 0], first_row, row, width)
        cell_fractions(across[part, 1], first_column, column, width)
    for i in range(max(0, -first_row), min(2 * reach + 1, SIDE - first_row)):
        for k in range(max(0, -first_column), min(2 * reach + 1, SIDE - first_column)):
            plane[(first_row + i) * SIDE + first_column + k] += energy * (
                (1 - weight) * across[0, 0, i] * across[0, 1, k] + weight * across[1, 0, i] * across[1, 1, k]
            )


@njit(cache=True)
def spread_hcal_shower(towers, row, column, energy):
    """Distribute energy over 3 × 3 towers with a Laplace profile of width 0.22 towers."""
    first_row, first_column = math.floor(row) - 1, math.floor(column) - 1
    across = np.empty((2, 3))
    cell_fractions(across[0], first_row, row, 0.22)
    cell_fractions(across[1], first_column, column, 0.22)
    for i in range(max(0, -first_row), min(3, TOWERS - first_row)):
        for k in range(max(0, -first_column), min(3, TOWERS - first_column)):
            towers[first_row + i, first_column + k] += energy * across[0, i] * across[1, k]


@njit(cache=True)
def image_calorimeters(hits, n, plane, deposits, first_eta, first_phi, settings, rng):
    """Append the ECAL crystals and HCAL towers, including noise, above the zero-suppression thresholds."""
    towers = np.zeros((TOWERS, TOWERS))
    for k in range(len(deposits)):
        row, column = to_window(deposits[k].eta, deposits[k].phi, first_eta, first_phi)
        if -SHOWER_MARGIN < row < SIDE + SHOWER_MARGIN and -SHOWER_MARGIN < column < SIDE + SHOWER_MARGIN:
            kind, energy = deposits[k].kind, deposits[k].energy
            if kind == HADRONIC:
                spread_hcal_shower(towers, row / TOWER, column / TOWER, energy)
            elif kind == DIFFUSE:
                spread_ecal_shower(plane, row, column, energy, 0.7, 1.8, 0.4, 3)
            elif kind != MINIMUM_IONISING:
                spread_ecal_shower(plane, row, column, energy, 0.20, 0.9, 0.15, 2)
            elif 0 <= row < SIDE and 0 <= column < SIDE:
                plane[int(row) * SIDE + int(column)] += energy
    n = read_ecal(hits, n, plane, settings, rng)
    for tower in range(TOWERS**2):
        energy = towers[tower // TOWERS, tower % TOWERS] + rng.normal(0, settings.hcal_noise)
        if energy > settings.hcal_zero_suppression:
            n = append_hit(hits, n, tower, HCAL, energy / TOWER**2)
    return n


@njit(cache=True)
def read_ecal(hits, n, plane, settings, rng):
    """Append the crystals above threshold and clear the plane.

    Only crystals with a signal above half the noise get individual noise. Among the others, a Poisson number passes the
    threshold by noise alone. Their energies follow the tail of the normal distribution, approximated by an exponential
    with mean noise² / threshold.
    """
    noise, threshold = settings.ecal_noise, settings.ecal_zero_suppression
    if noise > 0:
        passing = 0.5 * math.erfc(threshold / noise / math.sqrt(2))
        for _ in range(rng.poisson(passing * SIDE**2)):
            pixel = rng.integers(0, SIDE**2)
            if plane[pixel] <= noise / 2:
                plane[pixel] = -(threshold + rng.exponential(noise**2 / threshold))
    for pixel in range(SIDE**2):
        energy = plane[pixel]
        if energy != 0:
            if energy > noise / 2:
                energy += rng.normal(0, noise) if noise > 0 else 0.0
            energy = abs(energy) if plane[pixel] < 0 else energy
            if energy > threshold:
                n = append_hit(hits, n, pixel, ECAL, energy)
            plane[pixel] = 0
    return n
