"""Sparse images of jets from their particle-flow candidates."""

from typing import NamedTuple

import numpy as np

from topmass.io.root_formats import CANDIDATE_LAYERS
from topmass.jets import HIT_COLUMNS
from topmass.layers import PIXEL_ETA, PIXEL_PHI, SIDE, TOWER

N_PHI = 360
"""Pixels of the full circle in φ."""
TOWERS = SIDE // TOWER
SEARCH = 4
"""Maximum distance in towers of the central tower from the jet axis, as in the simulation."""
CHARGED_RESPONSE = 0.8
"""Fraction of the energy of a charged hadron that is stored as HCAL energy.

The networks subtract this fraction of the energy of each track from the calorimeters (`CALO_RESPONSE` of
`topmass.features.particle_flow`). Candidates have no calorimeter energy of charged hadrons. Without this energy, the
subtraction would remove neutral candidates next to tracks. Three exceptions remain. Neutral candidates next to a muon
are lost. Of the energy of an electron, 20 % remain as neutral energy. Neutral hadrons are lost if their energy is below
√E of the tracks.
"""
TRACK_PT, TRACK_DZ, TRACK_D0, ECAL, HCAL = range(len(CANDIDATE_LAYERS))


class Candidates(NamedTuple):
    """Candidates of N jets, K in all.

    Attributes:
        jet: Index of the jet, (K,).
        pt: pT (K,), GeV.
        eta: η (K,).
        phi: φ (K,).
        charged: Whether the candidate has a track, (K,).
        electromagnetic: Whether it is an electron or a photon, (K,).
        muon: Whether it is a muon, (K,).
        d0: Transverse impact parameter (K,), cm; used for charged candidates.
        dz: Longitudinal impact parameter (K,), cm; used for charged candidates.
    """

    jet: np.ndarray
    pt: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    charged: np.ndarray
    electromagnetic: np.ndarray
    muon: np.ndarray
    d0: np.ndarray
    dz: np.ndarray


class CandidateImages(NamedTuple):
    """Sparse images of N jets; see `topmass.jets.JetBatch` for the attributes."""

    offset: np.ndarray
    pixel: np.ndarray
    layer: np.ndarray
    value: np.ndarray
    ieta: np.ndarray
    iphi: np.ndarray


def image_candidates(candidates: Candidates, jet_eta: np.ndarray, jet_phi: np.ndarray) -> CandidateImages:
    """Return the images of jets in the layers `CANDIDATE_LAYERS`.

    A charged candidate is a track; the leading track of a pixel counts. Electrons and photons are energy of one
    crystal. Neutral hadrons, and `CHARGED_RESPONSE` of charged hadrons, are energy of one HCAL tower. The window is
    centred on the tower with the highest HCAL energy near the jet axis, or on the axis if there is none.

    A candidate with a momentum that is not finite becomes a value that is not finite, at the axis of its jet.

    Args:
        candidates: Candidates of all jets.
        jet_eta: η (N,) of the jets.
        jet_phi: φ (N,) of the jets.
    """
    jet, invalid = candidates.jet, ~np.isfinite(candidates.pt + candidates.eta + candidates.phi)
    eta, phi = np.where(invalid, jet_eta[jet], candidates.eta), np.where(invalid, jet_phi[jet], candidates.phi)
    pt = np.where(invalid, np.nan, candidates.pt)
    row, column = pixel_rows(eta), pixel_columns(phi)
    energy = pt * np.cosh(eta)
    hadron = ~candidates.electromagnetic & ~candidates.muon
    deposit = energy * np.where(candidates.charged, CHARGED_RESPONSE, 1)
    ieta, iphi = find_centres(
        jet[hadron], row[hadron], column[hadron], deposit[hadron], pixel_rows(jet_eta), pixel_columns(jet_phi)
    )
    row, column = row - ieta[jet] + SIDE // 2, (column - iphi[jet] + SIDE // 2) % N_PHI
    inside = (row >= 0) & (row < SIDE) & (column < SIDE)
    pixel = jet * SIDE**2 + row * SIDE + column
    tower = jet * TOWERS**2 + row // TOWER * TOWERS + column // TOWER
    tracks = leading(pixel, pt, np.flatnonzero(candidates.charged & inside & (pt != 0)))
    ecal, hcal = np.flatnonzero(candidates.electromagnetic & inside), np.flatnonzero(hadron & inside)
    parts = [(layer, pixel[tracks], values[tracks]) for layer, values in
             ((TRACK_PT, pt), (TRACK_DZ, candidates.dz), (TRACK_D0, candidates.d0))]  # fmt: skip
    parts.append((ECAL, *sum_by_cell(pixel[ecal], energy[ecal])))
    cells, energies = sum_by_cell(tower[hcal], deposit[hcal])
    # An image contains the energy per pixel.
    parts.append((HCAL, cells, energies / TOWER**2))
    return collect_hits(parts, len(jet_eta), ieta, iphi)


def pixel_rows(eta: np.ndarray) -> np.ndarray:
    """Return the pixel in η, counted from η = 0."""
    return np.floor(eta / PIXEL_ETA).astype(int)


def pixel_columns(phi: np.ndarray) -> np.ndarray:
    """Return the pixel in φ, counted from φ = 0, from 0 to 359."""
    return np.floor(phi / PIXEL_PHI).astype(int) % N_PHI


def find_centres(
    jet: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    energy: np.ndarray,
    axis_row: np.ndarray,
    axis_column: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the central pixels (N,) in η and φ of the windows.

    Args:
        jet: Jet (K,) of each HCAL deposit.
        row: Pixel (K,) of each deposit in η.
        column: Pixel (K,) of each deposit in φ.
        energy: Energy (K,) of each deposit.
        axis_row: Pixel (N,) of each jet axis in η.
        axis_column: Pixel (N,) of each jet axis in φ.
    """
    jets, side, around = len(axis_row), 2 * SEARCH + 1, N_PHI // TOWER
    axis_eta, axis_phi = axis_row // TOWER, axis_column // TOWER
    eta = row // TOWER - axis_eta[jet] + SEARCH
    phi = (column // TOWER - axis_phi[jet] + SEARCH) % around
    near = (eta >= 0) & (eta < side) & (phi < side)
    cell = jet[near] * side**2 + eta[near] * side + phi[near]
    towers = np.bincount(cell, energy[near], jets * side**2).reshape(jets, side**2)
    hottest = np.where(towers.max(axis=1, initial=0) > 0, towers.argmax(axis=1), side**2 // 2)
    centre_eta, centre_phi = axis_eta - SEARCH + hottest // side, axis_phi - SEARCH + hottest % side
    return centre_eta * TOWER + TOWER // 2, (centre_phi * TOWER + TOWER // 2) % N_PHI


def leading(cell: np.ndarray, pt: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the `chosen` candidates with the highest pT in their cell; `cell` and `pt` are of all candidates."""
    order = chosen[np.lexsort((-pt[chosen], cell[chosen]))]
    return order[np.diff(cell[order], prepend=-1) != 0]


def sum_by_cell(cell: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells with energy, and the sum of the energies in each."""
    cells, index = np.unique(cell, return_inverse=True)
    return cells, np.bincount(index, energy, len(cells))


def collect_hits(
    parts: list[tuple[int, np.ndarray, np.ndarray]], jets: int, ieta: np.ndarray, iphi: np.ndarray
) -> CandidateImages:
    """Return all non-zero hits, ordered by jet, layer and pixel.

    Args:
        parts: Layer, cells and values of each layer; a cell is jet × cells per layer + cell of the layer.
        jets: Number of jets.
        ieta: Central pixels (N,) in η.
        iphi: Central pixels (N,) in φ.
    """
    per_jet = [(SIDE // CANDIDATE_LAYERS[layer].cell) ** 2 for layer, _, _ in parts]
    jet = np.concatenate([cell // size for (_, cell, _), size in zip(parts, per_jet, strict=True)])
    pixel = np.concatenate([cell % size for (_, cell, _), size in zip(parts, per_jet, strict=True)])
    layer = np.concatenate([np.full(len(cell), layer) for layer, cell, _ in parts])
    value = np.concatenate([value for _, _, value in parts]).astype(HIT_COLUMNS["value"])
    order = np.lexsort((pixel, layer, jet))
    order = order[value[order] != 0]
    offset = np.searchsorted(jet[order], np.arange(jets + 1))
    hits = {"pixel": pixel, "layer": layer, "value": value}
    arrays = {name: hits[name][order].astype(dtype) for name, dtype in HIT_COLUMNS.items()}
    return CandidateImages(offset, **arrays, ieta=ieta, iphi=iphi)
