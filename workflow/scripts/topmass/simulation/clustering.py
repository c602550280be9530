"""Jets from the detector's candidates: anti-kT, matching to the top quarks, soft drop. All by FastJet."""

from dataclasses import dataclass
from typing import NamedTuple

import awkward as ak
import fastjet
import numpy as np

from topmass.simulation.detector import Readout
from topmass.simulation.generator import Tops

CANDIDATE_FIELDS = {"px": "px", "py": "py", "pz": "pz", "energy": "E"}
"""Names of a candidate's momentum here and in FastJet."""
WHOLE_JET = 10.0
"""A radius that takes all constituents of a jet into one."""


# Once a process, FastJet would print its banner; what it asks for, to be cited, is done in the README.
fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)


@dataclass(frozen=True)
class JetSettings:
    """Which jets are kept: radius, least pT in GeV, largest |η|, largest distance ΔR to the top quark.

    Nothing is asked of the three quarks: as in the CMS files, a jet need not contain all of its top.
    Soft drop has β = 0 and the given cut on the momentum share (Larkoski et al., JHEP 05 (2014) 146).
    """

    radius: float
    pt_min: float
    eta_max: float
    top_distance: float
    softdrop_cut: float


class Jets(NamedTuple):
    """Selected jets, ordered by event, and the top quark each is matched to. GeV, radians.

    `quark_pt`, `quark_eta`, `quark_phi` and `quark_mass`, (N, 3), are those of the quarks of that top.
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


def find_jets(readout: Readout, tops: Tops, settings: JetSettings) -> Jets:
    """Cluster the candidates of each event and keep the selected jets that are nearest to a top quark."""
    candidates = readout.candidates
    particles = ak.unflatten(
        ak.zip({to: candidates[name] for name, to in CANDIDATE_FIELDS.items()}, with_name="Momentum4D"),
        np.diff(readout.candidate_offset),
    )
    clusters = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.antikt_algorithm, settings.radius))
    found = clusters.inclusive_jets(settings.pt_min)
    members = clusters.constituent_index(settings.pt_min)
    per_event = ak.to_numpy(ak.num(found))
    event = np.repeat(np.arange(len(per_event)), per_event)
    px, py, pz, energy = (ak.to_numpy(ak.flatten(found[field])) for field in CANDIDATE_FIELDS.values())
    pt = np.hypot(px, py)
    eta, phi = np.arcsinh(pz / pt), np.arctan2(py, px)
    top = match(event, eta, phi, tops, settings.top_distance)
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


def match(event: np.ndarray, eta: np.ndarray, phi: np.ndarray, tops: Tops, distance: float) -> np.ndarray:
    """For each jet the index of the nearest top of its event within ΔR < `distance`, or −1.

    A top belongs to one jet, the nearest: a second jet near the same top gets −1.
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
    """`phi` − `other`, the short way around."""
    return (phi - other + np.pi) % (2 * np.pi) - np.pi


def softdrop_mass(candidates: np.ndarray, offset: np.ndarray, settings: JetSettings) -> np.ndarray:
    """Mass of each jet after soft drop, GeV; jet i holds the candidates `offset[i]:offset[i + 1]`."""
    cambridge = fastjet.JetDefinition(fastjet.cambridge_algorithm, WHOLE_JET)
    momenta = candidates.tolist()
    masses = np.empty(len(offset) - 1)
    harder, softer = fastjet.PseudoJet(), fastjet.PseudoJet()
    for i in range(len(masses)):
        members = [fastjet.PseudoJet(*momentum) for momentum in momenta[offset[i] : offset[i + 1]]]
        sequence = fastjet.ClusterSequence(members, cambridge)
        groomed = sequence.exclusive_jets(1)[0]
        while groomed.has_parents(harder, softer):
            if min(harder.pt(), softer.pt()) > settings.softdrop_cut * (harder.pt() + softer.pt()):
                break
            groomed = fastjet.PseudoJet(max(harder, softer, key=fastjet.PseudoJet.pt))
        masses[i] = max(groomed.m(), 0.0)
    return masses
