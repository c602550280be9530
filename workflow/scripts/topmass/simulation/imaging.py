"""Sparse jet images: one window per jet, several detector layers."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE, TOWER
from topmass.simulation.calorimeters import N_PHI, Cells
from topmass.simulation.clustering import Jets
from topmass.simulation.detector import Readout

TOWERS = SIDE // TOWER
SEED_SEARCH_TOWERS = 4
"""Maximum distance of the seed tower, on which the window is centred, from the jet axis in η and in φ; towers."""
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


def make_images(readout: Readout, cells: Cells, jets: Jets) -> Images:
    """Return the image of each jet; values in the units of `topmass.layers`, HCAL per pixel as in the CMS files."""
    return _make_images(readout, cells, jets.event, jets.eta, jets.phi)


@njit(cache=True)
def _make_images(readout, cells, event, eta, phi):
    jets = len(event)
    hits = np.empty(1000 * jets + 2 * SIDE**2, HIT)
    offset = np.zeros(jets + 1, np.int64)
    ieta, iphi = np.empty(jets, np.int16), np.empty(jets, np.int16)
    planes = np.zeros((3, SIDE * SIDE))
    n = 0
    for j in range(jets):
        crystals = cells.crystals[cells.crystal_offset[event[j]] : cells.crystal_offset[event[j] + 1]]
        towers = cells.towers[cells.tower_offset[event[j]] : cells.tower_offset[event[j] + 1]]
        tracks = readout.tracks[readout.track_offset[event[j]] : readout.track_offset[event[j] + 1]]
        pixel_hits = readout.pixel_hits[readout.pixel_hit_offset[event[j]] : readout.pixel_hit_offset[event[j] + 1]]
        tower_eta, tower_phi = hottest_tower(towers, eta[j], phi[j])
        ieta[j], iphi[j] = tower_eta * TOWER + TOWER // 2, tower_phi * TOWER + TOWER // 2
        first_eta, first_phi = ieta[j] - SIDE // 2, iphi[j] - SIDE // 2
        capacity = n + 3 * len(tracks) + len(crystals) + len(towers) + len(pixel_hits)
        if capacity > len(hits):
            hits = np.concatenate((hits, np.empty(capacity, HIT)))
        n = image_tracks(hits, n, planes, tracks, first_eta, first_phi)
        n = image_cells(hits, n, ECAL, crystals, first_eta, first_phi, SIDE, N_PHI)
        n = image_cells(hits, n, HCAL, towers, tower_eta - TOWERS // 2, tower_phi - TOWERS // 2, TOWERS, N_PHI // TOWER)
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
def pixel_of(eta, phi, first_eta, first_phi):
    """Return the index of the pixel at this position, −1 outside the window."""
    row, column = eta / PIXEL_ETA - first_eta, (phi / PIXEL_PHI - first_phi) % N_PHI
    return int(row) * SIDE + int(column) if 0 <= row < SIDE and column < SIDE else -1


@njit(cache=True)
def hottest_tower(towers, eta, phi):
    """Return η and φ index of the tower with the highest energy near the jet axis; without energy, of the axis."""
    axis_eta, axis_phi = math.floor(eta / (TOWER * PIXEL_ETA)), math.floor(phi / (TOWER * PIXEL_PHI))
    n_phi, highest = N_PHI // TOWER, 0.0
    hottest_eta, hottest_phi = axis_eta, axis_phi % n_phi
    for k in range(len(towers)):
        distance = abs((towers[k].iphi - axis_phi + n_phi // 2) % n_phi - n_phi // 2)
        if max(distance, abs(towers[k].ieta - axis_eta)) <= SEED_SEARCH_TOWERS and towers[k].energy > highest:
            hottest_eta, hottest_phi, highest = towers[k].ieta, towers[k].iphi, towers[k].energy
    return hottest_eta, hottest_phi


@njit(cache=True)
def image_cells(hits, n, layer, cells, first_eta, first_phi, side, n_phi):
    """Append the calorimeter cells in a window of `side` cells; `n_phi` of them make the full circle."""
    index, rows = np.empty(len(cells), np.int64), np.empty(len(cells), np.int64)
    inside = 0
    for k in range(len(cells)):
        row, column = cells[k].ieta - first_eta, (cells[k].iphi - first_phi) % n_phi
        if 0 <= row < side and column < side:
            index[inside], rows[inside] = row * side + column, k
            inside += 1
    pixels_per_cell = (SIDE // side) ** 2
    for i in np.argsort(index[:inside]):
        n = append_hit(hits, n, index[i], layer, cells[rows[i]].energy / pixels_per_cell)
    return n


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
