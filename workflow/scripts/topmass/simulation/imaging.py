"""Sparse images of jets: what the detector saw in a window around each jet, layer by layer."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE, TOWER
from topmass.simulation.clustering import Jets
from topmass.simulation.detector import DIFFUSE, HADRONIC, MINIMUM_IONISING, DetectorSettings, Readout

AROUND = 360
"""Pixels once around in φ."""
TOWERS = SIDE // TOWER
REACH = 4
"""The window is centred on the hottest HCAL tower at most so many towers from the jet axis, in η and in φ."""
MARGIN = 4
"""Showers whose centre lies up to so many pixels outside the window still reach into it."""
TRACK_PT, TRACK_DZ, TRACK_D0, ECAL, HCAL, BPIX1 = range(6)
HIT = np.dtype([("pixel", "u2"), ("layer", "u1"), ("value", "f4")])


class Images(NamedTuple):
    """Non-zero values of a batch of jets, ordered by jet, layer and pixel; those of jet i at `offset[i]:offset[i + 1]`.

    `ieta` and `iphi` are the pixel, counted from η = 0 and φ = 0, in the middle of the seed tower and so of the window.
    """

    offset: np.ndarray
    hits: np.ndarray
    ieta: np.ndarray
    iphi: np.ndarray


def take_images(readout: Readout, jets: Jets, settings: DetectorSettings, rng: np.random.Generator) -> Images:
    """Image each jet; values in the units of `topmass.layers`, HCAL per pixel as in the CMS files."""
    return _take_images(readout, jets.event, jets.eta, jets.phi, settings, rng)


@njit(cache=True)
def _take_images(readout, event, eta, phi, settings, rng):
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
        iphi[j] = (tower_phi * TOWER + TOWER // 2) % AROUND
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
def emit(hits, n, pixel, layer, value):
    """Append a non-zero value; the new number of values."""
    here = hits[n]
    here.pixel, here.layer, here.value = pixel, layer, value
    return n + 1


@njit(cache=True)
def place(eta, phi, first_eta, first_phi):
    """Position in the window, in pixels from its first row and column; columns go once around in φ."""
    column = (phi / PIXEL_PHI - first_phi) % AROUND
    return eta / PIXEL_ETA - first_eta, column - AROUND if column > AROUND - 2 * MARGIN else column


@njit(cache=True)
def pixel_of(eta, phi, first_eta, first_phi):
    """Index of the pixel at this position, or −1 outside the window."""
    row, column = place(eta, phi, first_eta, first_phi)
    return int(row) * SIDE + int(column) if 0 <= row < SIDE and 0 <= column < SIDE else -1


@njit(cache=True)
def hottest_tower(deposits, eta, phi):
    """The tower (η index, φ index) with the most hadronic energy near the jet axis; the axis' own if there is none."""
    axis_eta, axis_phi = math.floor(eta / (TOWER * PIXEL_ETA)), math.floor(phi / (TOWER * PIXEL_PHI))
    first_eta, first_phi = (axis_eta - TOWERS // 2) * TOWER, (axis_phi - TOWERS // 2) * TOWER
    energy = np.zeros((TOWERS, TOWERS))
    for k in range(len(deposits)):
        if deposits[k].kind == HADRONIC:
            row, column = place(deposits[k].eta, deposits[k].phi, first_eta, first_phi)
            if 0 <= row < SIDE and 0 <= column < SIDE:
                share_towers(energy, row / TOWER, column / TOWER, deposits[k].energy)
    first = TOWERS // 2 - REACH
    near = energy[first : first + 2 * REACH + 1, first : first + 2 * REACH + 1].copy()
    hottest = np.argmax(near)
    if near.max() == 0:
        return axis_eta, axis_phi
    return axis_eta - REACH + hottest // near.shape[1], axis_phi - REACH + hottest % near.shape[1]


@njit(cache=True)
def image_tracks(hits, n, planes, tracks, first_eta, first_phi):
    """The hardest track of each pixel gives its pT, dz and d0."""
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
            n = emit(hits, n, pixel, layer, planes[layer, pixel])
            planes[layer, pixel] = 0
    return n


@njit(cache=True)
def image_pixels(hits, n, plane, pixel_hits, first_eta, first_phi):
    """Number of hits in each of the three pixel layers."""
    touched = np.empty(len(pixel_hits), np.int64)
    for barrel_layer in range(3):
        seen = 0
        for k in range(len(pixel_hits)):
            pixel = pixel_of(pixel_hits[k].eta, pixel_hits[k].phi, first_eta, first_phi)
            if pixel >= 0 and pixel_hits[k].barrel_layer == barrel_layer:
                if plane[pixel] == 0:
                    touched[seen] = pixel
                    seen += 1
                plane[pixel] += 1
        for pixel in np.sort(touched[:seen]):
            n = emit(hits, n, pixel, BPIX1 + barrel_layer, plane[pixel])
            plane[pixel] = 0
    return n


@njit(cache=True)
def laplace(x, width):
    """Integral of the Laplace distribution of this width up to x."""
    return 0.5 * math.exp(x / width) if x < 0 else 1 - 0.5 * math.exp(-x / width)


@njit(cache=True)
def share(plane, row, column, energy, core, tail, weight, reach):
    """Spread energy over crystals with a profile of two Laplace distributions, widths in crystals."""
    first_row, first_column = math.floor(row) - reach, math.floor(column) - reach
    across = np.empty((2, 2, 2 * reach + 1))
    for i in range(2 * reach + 1):
        for part, width in enumerate((core, tail)):
            across[part, 0, i] = laplace(first_row + i + 1 - row, width) - laplace(first_row + i - row, width)
            across[part, 1, i] = laplace(first_column + i + 1 - column, width) - laplace(
                first_column + i - column, width
            )
    for i in range(max(0, -first_row), min(2 * reach + 1, SIDE - first_row)):
        for k in range(max(0, -first_column), min(2 * reach + 1, SIDE - first_column)):
            plane[(first_row + i) * SIDE + first_column + k] += energy * (
                (1 - weight) * across[0, 0, i] * across[0, 1, k] + weight * across[1, 0, i] * across[1, 1, k]
            )


@njit(cache=True)
def share_towers(towers, row, column, energy):
    """Spread energy over 3 × 3 towers with a Laplace profile of 0.22 towers."""
    middle_row, middle_column = math.floor(row), math.floor(column)
    for i in range(max(0, middle_row - 1), min(TOWERS, middle_row + 2)):
        down = laplace(i + 1 - row, 0.22) - laplace(i - row, 0.22)
        for k in range(max(0, middle_column - 1), min(TOWERS, middle_column + 2)):
            towers[i, k] += energy * down * (laplace(k + 1 - column, 0.22) - laplace(k - column, 0.22))


@njit(cache=True)
def image_calorimeters(hits, n, plane, deposits, first_eta, first_phi, settings, rng):
    """Energies of ECAL crystals and HCAL towers, with noise, above the thresholds of zero suppression."""
    towers = np.zeros((TOWERS, TOWERS))
    for k in range(len(deposits)):
        row, column = place(deposits[k].eta, deposits[k].phi, first_eta, first_phi)
        if -MARGIN < row < SIDE + MARGIN and -MARGIN < column < SIDE + MARGIN:
            kind, energy = deposits[k].kind, deposits[k].energy
            if kind == HADRONIC:
                share_towers(towers, row / TOWER, column / TOWER, energy)
            elif kind == DIFFUSE:
                share(plane, row, column, energy, 0.7, 1.8, 0.4, 3)
            elif kind != MINIMUM_IONISING:
                share(plane, row, column, energy, 0.20, 0.9, 0.15, 2)
            elif 0 <= row < SIDE and 0 <= column < SIDE:
                plane[int(row) * SIDE + int(column)] += energy
    n = read_ecal(hits, n, plane, settings, rng)
    for tower in range(TOWERS**2):
        energy = towers[tower // TOWERS, tower % TOWERS] + rng.normal(0, settings.hcal_noise)
        if energy > settings.hcal_zero_suppression:
            n = emit(hits, n, tower, HCAL, energy / TOWER**2)
    return n


@njit(cache=True)
def read_ecal(hits, n, plane, settings, rng):
    """Append the crystals above threshold and clear the plane.

    Only crystals with a signal of half the noise or more are given noise one by one. Of the others a Poisson number
    passes the threshold by noise alone; their energies follow the tail of the normal distribution, an exponential
    of mean noise² / threshold.
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
                n = emit(hits, n, pixel, ECAL, energy)
            plane[pixel] = 0
    return n
