"""Calorimeter readout: showers in ECAL crystals and HCAL towers, noise, zero suppression."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from topmass.layers import PIXEL_ETA, PIXEL_PHI, TOWER
from topmass.simulation.detector import (
    DIFFUSE,
    HADRONIC,
    LARGEST_ETA,
    MINIMUM_IONISING,
    DetectorSettings,
    Readout,
)

N_PHI = 360
"""Crystals of the full circle in φ."""
N_ETA = 360
"""Crystals from η = −3.13 to 3.13; showers within LARGEST_ETA do not reach beyond."""
ECAL_COMPACT, ECAL_DIFFUSE, HCAL_PROFILE = (0.20, 0.9, 0.15, 2), (0.7, 1.8, 0.4, 3), (0.22, 1.0, 0.0, 1)
"""Lateral profiles: widths of two Laplace distributions in cells, fraction of the second, and reach in cells."""
SOFT_SHOWER = 1.0
"""GeV; a shower below reaches one cell far. A cell beyond would have 4 % of its energy at most, less than the noise."""
CELL = np.dtype([("ieta", "i2"), ("iphi", "i2"), ("energy", "f8")])


class Cells(NamedTuple):
    """Calorimeter cells above threshold of a batch: flat record arrays (CELL), each with the offsets of the events.

    Cell i lies between i and i + 1 cells from η = 0 and φ = 0. Indices of towers count towers. `energy` is in GeV.
    """

    crystals: np.ndarray
    crystal_offset: np.ndarray
    towers: np.ndarray
    tower_offset: np.ndarray


def read_calorimeters(readout: Readout, settings: DetectorSettings, rng: np.random.Generator) -> Cells:
    """Return the cells above threshold of a batch of events, from their deposits."""
    return _read_calorimeters(readout.deposits, readout.deposit_offset, settings, rng)


@njit(cache=True)
def _read_calorimeters(deposits, offset, settings, rng):
    events = len(offset) - 1
    crystals, towers = np.empty(1000 * events, CELL), np.empty(200 * events, CELL)
    offsets = np.zeros((2, events + 1), np.int64)
    ecal, hcal = np.zeros(N_ETA * N_PHI), np.zeros(N_ETA * N_PHI // TOWER**2)
    touched_ecal, touched_hcal = np.empty(len(ecal), np.int64), np.empty(len(hcal), np.int64)
    n_crystals = n_towers = 0
    for event in range(events):
        n_ecal = n_hcal = 0
        for k in range(offset[event], offset[event + 1]):
            kind, energy = deposits[k].kind, deposits[k].energy
            if abs(deposits[k].eta) > LARGEST_ETA:
                continue
            row, column = deposits[k].eta / PIXEL_ETA + N_ETA / 2, deposits[k].phi / PIXEL_PHI
            if kind == HADRONIC:
                n_hcal = spread(
                    hcal, touched_hcal, n_hcal, N_PHI // TOWER, row / TOWER, column / TOWER, energy, HCAL_PROFILE
                )
            elif kind == MINIMUM_IONISING:
                cell = math.floor(row) * N_PHI + math.floor(column) % N_PHI
                n_ecal = add_energy(ecal, touched_ecal, n_ecal, cell, energy)
            else:
                profile = ECAL_DIFFUSE if kind == DIFFUSE else ECAL_COMPACT
                n_ecal = spread(ecal, touched_ecal, n_ecal, N_PHI, row, column, energy, profile)
        crystals, n_crystals = read_cells(
            crystals, n_crystals, ecal, touched_ecal, n_ecal, N_PHI, settings.ecal_noise,
            settings.ecal_zero_suppression, rng,
        )  # fmt: skip
        towers, n_towers = read_cells(
            towers, n_towers, hcal, touched_hcal, n_hcal, N_PHI // TOWER, settings.hcal_noise,
            settings.hcal_zero_suppression, rng,
        )  # fmt: skip
        offsets[:, event + 1] = n_crystals, n_towers
    return Cells(crystals[:n_crystals], offsets[0], towers[:n_towers], offsets[1])


@njit(cache=True)
def add_energy(plane, touched, n, cell, energy):
    """Add energy to a cell, append the cell to `touched` if it was empty, and return the number of touched cells."""
    if plane[cell] == 0 and energy > 0:
        touched[n] = cell
        n += 1
    plane[cell] += energy
    return n


@njit(cache=True)
def laplace_fractions(fractions, position, width):
    """Fill `fractions` with those of a Laplace distribution around `position` in the cells around it; units of cells.

    The cell of `position` is in the centre.
    """
    per_cell = math.exp(-1 / width)
    left = 0.5 * math.exp(-(position - math.floor(position)) / width)
    right = 0.25 * per_cell / left
    centre = len(fractions) // 2
    fractions[centre] = 1 - left - right
    for i in range(1, centre + 1):
        fractions[centre - i], fractions[centre + i] = left * (1 - per_cell), right * (1 - per_cell)
        left, right = left * per_cell, right * per_cell


@njit(cache=True)
def spread(plane, touched, n, columns, row, column, energy, profile):
    """Distribute the energy of a shower over the cells of a plane that is periodic in φ.

    Args:
        plane: Energies of all cells, row by row.
        touched: Indices of the cells with energy.
        n: Number of touched cells.
        columns: Cells per row.
        row: Position in η, in cells from the first row.
        column: Position in φ, in cells.
        energy: Energy of the shower.
        profile: Lateral profile, such as `ECAL_COMPACT`.

    Returns:
        The new number of touched cells.
    """
    core, tail, weight, reach = profile
    if energy < SOFT_SHOWER:
        reach = 1
    size = 2 * reach + 1
    fractions = np.empty((4, size))
    laplace_fractions(fractions[0], row, core)
    laplace_fractions(fractions[1], column, core)
    laplace_fractions(fractions[2], row, tail)
    laplace_fractions(fractions[3], column, tail)
    first_row, first_column = math.floor(row) - reach, math.floor(column) - reach
    for i in range(size):
        by_core, by_tail = energy * (1 - weight) * fractions[0, i], energy * weight * fractions[2, i]
        for k in range(size):
            wrapped = first_column + k
            if wrapped < 0:
                wrapped += columns
            elif wrapped >= columns:
                wrapped -= columns
            part = by_core * fractions[1, k] + by_tail * fractions[3, k]
            n = add_energy(plane, touched, n, (first_row + i) * columns + wrapped, part)
    return n


@njit(cache=True)
def read_cells(cells, n, plane, touched, n_touched, columns, noise, threshold, rng):
    """Append the cells above threshold, clear the plane, and return the cells and their number.

    Only cells with a signal above half the noise get individual noise. Among the others, a Poisson number passes the
    threshold by noise alone. Their energies follow the tail of the normal distribution, approximated by an exponential
    with mean noise² / threshold.
    """
    alone = 0
    if noise > 0:
        alone = rng.poisson(0.5 * math.erfc(threshold / noise / math.sqrt(2)) * len(plane))
    if n + n_touched + alone > len(cells):
        cells = np.concatenate((cells, np.empty(len(cells) + n_touched + alone, CELL)))
    for _ in range(alone):
        cell = rng.integers(0, len(plane))
        energy = threshold + rng.exponential(noise**2 / threshold)
        if 0 <= plane[cell] <= noise / 2:
            if plane[cell] == 0:
                touched[n_touched] = cell
                n_touched += 1
            # This marks the cell as read.
            plane[cell] = -1.0
            n = append_cell(cells, n, cell, len(plane) // columns, columns, energy)
    for i in range(n_touched):
        cell = touched[i]
        energy = plane[cell]
        if energy > noise / 2 and noise > 0:
            energy += rng.normal(0, noise)
        if energy > threshold:
            n = append_cell(cells, n, cell, len(plane) // columns, columns, energy)
        plane[cell] = 0
    return cells, n


@njit(cache=True)
def append_cell(cells, n, cell, rows, columns, energy):
    """Append a cell by its index in a plane, and return the new number of cells."""
    new = cells[n]
    new.ieta, new.iphi, new.energy = cell // columns - rows // 2, cell % columns, energy
    return n + 1
