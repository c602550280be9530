"""Jet clustering and soft drop with FastJet, and matching to top quarks."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import awkward as ak
import fastjet
import numpy as np
from numba import njit

from topmass.simulation.detector import Readout
from topmass.simulation.generator import Tops

CANDIDATE_FIELDS = {"px": "px", "py": "py", "pz": "pz", "energy": "E"}
"""Names of the momentum components here and in FastJet."""
R_RECLUSTER = 10.0
"""Radius that reclusters all constituents into one jet."""


# FastJet would print its banner once per process. The README cites FastJet, as the banner requests.
fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)


@dataclass(frozen=True)
class JetSettings:
    """Settings of the jet selection.

    The three decay quarks need not be contained in the jet, as in the CMS files.

    Attributes:
        jet_radius: Radius R of anti-kT.
        pt_min: Minimum pT, GeV.
        eta_max: Maximum |η|.
        top_match_dr: Maximum ΔR between a jet and its top quark.
        softdrop_zcut: z_cut of soft drop with β = 0 (Larkoski et al., JHEP 05 (2014) 146).
    """

    jet_radius: float
    pt_min: float
    eta_max: float
    top_match_dr: float
    softdrop_zcut: float


class Jets(NamedTuple):
    """Selected jets (N,), ordered by event, with the matched top quark; GeV, radians.

    Attributes:
        event: Index of the event.
        pt: pT of the jet.
        eta: η of the jet.
        phi: φ of the jet.
        jet_mass: Invariant mass of the jet.
        softdrop_mass: Mass after soft drop.
        mass: Generated mass of the top quark.
        top_pt: pT of the top quark.
        quark_pt: pT (N, 3) of the decay quarks of the top quark.
        quark_eta: η (N, 3) of the decay quarks.
        quark_phi: φ (N, 3) of the decay quarks.
        quark_mass: Masses (N, 3) of the decay quarks.
    """

    event: np.ndarray
    pt: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    jet_mass: np.ndarray
    softdrop_mass: np.ndarray
    mass: np.ndarray
    top_pt: np.ndarray
    quark_pt: np.ndarray
    quark_eta: np.ndarray
    quark_phi: np.ndarray
    quark_mass: np.ndarray


def cluster_jets(readout: Readout, tops: Tops, settings: JetSettings) -> Jets:
    """Cluster the candidates of each event and select the jets that match a top quark."""
    candidates = readout.candidates
    clusters = run_clustering(candidates, readout.candidate_offset, fastjet.antikt_algorithm, settings.jet_radius)
    found = clusters.inclusive_jets(settings.pt_min)
    members = clusters.constituent_index(settings.pt_min)
    per_event = ak.to_numpy(ak.num(found))
    event = np.repeat(np.arange(len(per_event)), per_event)
    px, py, pz, energy = (ak.to_numpy(ak.flatten(found[field])) for field in CANDIDATE_FIELDS.values())
    pt = np.hypot(px, py)
    eta, phi = np.arcsinh(pz / pt), np.arctan2(py, px)
    top = match_tops(event, eta, phi, tops, settings.top_match_dr)
    keep = np.flatnonzero((top >= 0) & (np.abs(eta) < settings.eta_max))
    members = ak.flatten(members)[keep]
    rows = ak.to_numpy(ak.flatten(members)) + np.repeat(
        readout.candidate_offset[event[keep]], ak.to_numpy(ak.num(members))
    )
    offset = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(members)))])
    mass_squared = energy**2 - px**2 - py**2 - pz**2
    return Jets(
        event[keep], pt[keep], eta[keep], phi[keep], np.sqrt(np.maximum(mass_squared, 0))[keep],
        softdrop_mass(candidates[rows], offset, settings), tops.mass[top[keep]], tops.pt[top[keep]],
        *(each[top[keep]] for each in (tops.quark_pt, tops.quark_eta, tops.quark_phi, tops.quark_mass)),
    )  # fmt: skip


def run_clustering(
    candidates: np.ndarray, offset: np.ndarray, algorithm: int, radius: float
) -> fastjet.ClusterSequence:
    """Cluster each group `offset[i]:offset[i + 1]` of candidates separately."""
    particles = ak.zip({to: candidates[name] for name, to in CANDIDATE_FIELDS.items()}, with_name="Momentum4D")
    return fastjet.ClusterSequence(ak.unflatten(particles, np.diff(offset)), fastjet.JetDefinition(algorithm, radius))


def match_tops(event: np.ndarray, eta: np.ndarray, phi: np.ndarray, tops: Tops, distance: float) -> np.ndarray:
    """Match each jet to the nearest top quark of its event.

    A top quark matches one jet only, the nearest.

    Args:
        event: Event index (N,) of each jet, sorted.
        eta: η (N,) of the jets.
        phi: φ (N,) of the jets.
        tops: Top quarks of the batch.
        distance: Upper limit of ΔR.

    Returns:
        Index (N,) of the top quark of each jet, −1 without a match.
    """
    first = np.searchsorted(tops.event, event)
    count = np.searchsorted(tops.event, event, side="right") - first
    jet = np.repeat(np.arange(len(event)), count)
    top = np.arange(len(jet)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    delta = np.hypot(eta[jet] - tops.eta[top], delta_phi(phi[jet], tops.phi[top]))
    matched = np.full(len(event), -1)
    taken = np.zeros(len(tops.event), bool)
    for k in np.argsort(delta, kind="stable"):
        if delta[k] >= distance:
            break
        if matched[jet[k]] < 0 and not taken[top[k]]:
            matched[jet[k]] = top[k]
            taken[top[k]] = True
    return matched


def delta_phi(phi: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return `phi` − `other`, wrapped to −π..π."""
    return (phi - other + np.pi) % (2 * np.pi) - np.pi


def softdrop_mass(candidates: np.ndarray, offset: np.ndarray, settings: JetSettings) -> np.ndarray:
    """Return the soft-drop mass (N,) of each jet in GeV; jet i contains the candidates `offset[i]:offset[i + 1]`.

    FastJet reclusters the jets. Its own `exclusive_jets_softdrop_grooming` returns the same masses for a batch. It is
    much slower, because it lists the constituents of a jet again for each constituent.
    """
    clusters = run_clustering(candidates, offset, fastjet.cambridge_algorithm, R_RECLUSTER)
    jets = ak.flatten(clusters.jets())
    momenta = (ak.to_numpy(jets[field]) for field in CANDIDATE_FIELDS.values())
    history = ak.to_numpy(ak.flatten(clusters.unique_history_order()))
    return _softdrop_mass(history, offset, *momenta, settings.softdrop_zcut)


@njit(cache=True)
def _softdrop_mass(history, offset, px, py, pz, energy, cut):
    """Decluster each jet along its harder branch until both branches pass the cut.

    A jet of n constituents has 2n − 1 momenta: those of its constituents, then one per merging. Its 2n entries in
    `history` list the indices of the momenta. Both branches of a merging precede it. The last entry marks the end.
    """
    masses = np.empty(len(offset) - 1)
    branches = np.empty((len(px), 2), np.int64)
    stack = np.empty(len(px), np.int64)
    for jet in range(len(masses)):
        n = offset[jet + 1] - offset[jet]
        first = 2 * offset[jet] - jet
        top = -1
        for step in history[2 * offset[jet] : 2 * offset[jet + 1] - 1]:
            if step >= n:
                top -= 1
                branches[first + step] = stack[top], stack[top + 1]
            else:
                top += 1
            stack[top] = first + step
        groomed = stack[top]
        while groomed >= first + n:
            a, b = branches[groomed]
            pt_a, pt_b = math.sqrt(px[a] ** 2 + py[a] ** 2), math.sqrt(px[b] ** 2 + py[b] ** 2)
            if min(pt_a, pt_b) > cut * (pt_a + pt_b):
                break
            groomed = a if pt_a > pt_b or (pt_a == pt_b and a < b) else b
        # The formula of FastJet: another formula rounds differently.
        squared = (energy[groomed] + pz[groomed]) * (energy[groomed] - pz[groomed])
        squared -= px[groomed] ** 2 + py[groomed] ** 2
        masses[jet] = math.sqrt(max(squared, 0.0))
    return masses
