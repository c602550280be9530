"""Jet clustering and soft drop with FastJet, and matching to top quarks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import awkward as ak
import fastjet
import numpy as np
from numba import njit

from topmass.simulation.detector import LARGEST_ETA
from topmass.simulation.generator import NEUTRINOS, Events, Particles, Tops, select_particles

CANDIDATE_FIELDS = {"px": "px", "py": "py", "pz": "pz", "energy": "E"}
"""Names of the momentum components here and in FastJet."""
R_RECLUSTER = 10.0
"""Radius that reclusters all constituents into one jet."""
GEN_PT_MIN = 100.0
"""Minimum pT of generated jets, GeV; far below that of the jets that they are matched to."""

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
    """Selected jets (N,), ordered by event, with the matched top quark and generated jet; GeV, radians.

    Values of the top quark are NaN in events without top quarks.

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
        gen_jet_pt: pT of the nearest generated jet within half the jet radius; NaN if there is none.
        gen_jet_mass: Invariant mass of the generated jet.
        gen_softdrop_mass: Mass of the generated jet after soft drop.
        weight: Weight of the event.
        pileup: Number of further collisions in the event.
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
    gen_jet_pt: np.ndarray
    gen_jet_mass: np.ndarray
    gen_softdrop_mass: np.ndarray
    weight: np.ndarray
    pileup: np.ndarray


class Clusters(NamedTuple):
    """Clustered jets (N,), ordered by event; GeV.

    Attributes:
        event: Index of the event.
        pt: pT.
        eta: η.
        phi: φ.
        mass: Invariant mass.
        constituents: Rows of the constituents of each jet, a jagged array.
    """

    event: np.ndarray
    pt: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    mass: np.ndarray
    constituents: ak.Array


def cluster_jets(candidates: np.ndarray, offset: np.ndarray, events: Events, settings: JetSettings) -> Jets:
    """Cluster the candidates of each event, and select the jets that match a top quark if the process has any.

    Args:
        candidates: Candidates (CANDIDATE) of all events.
        offset: Offsets (events + 1,) of the candidates.
        events: The same events as generated.
        settings: Settings of the jets.
    """
    clusters = find_clusters(candidates, offset, settings.jet_radius, settings.pt_min)
    top = match_jets(clusters.event, clusters.eta, clusters.phi, events.tops, settings.top_match_dr)
    selected = (np.abs(clusters.eta) < settings.eta_max) & ((top >= 0) | (not events.has_tops))
    event, pt, eta, phi, mass, constituents = (column[selected] for column in clusters)
    of_top = {name: take_or_nan(getattr(events.tops, name), top[selected]) for name in Tops._fields[1:]}
    gen_pt, gen_mass, gen_softdrop_mass = generated_jets(events.particles, event, eta, phi, settings)
    return Jets(
        event=event, pt=pt, eta=eta, phi=phi,
        jet_mass=mass, softdrop_mass=softdrop_of(candidates, constituents, settings),
        mass=of_top["mass"], top_pt=of_top["pt"],
        **{name: of_top[name] for name in of_top if name.startswith("quark_")},
        gen_jet_pt=gen_pt, gen_jet_mass=gen_mass, gen_softdrop_mass=gen_softdrop_mass,
        weight=events.weight[event], pileup=events.pileup[event],
    )  # fmt: skip


def generated_jets(
    particles: Particles, event: np.ndarray, eta: np.ndarray, phi: np.ndarray, settings: JetSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pT, mass and soft-drop mass (N,) of the generated jet that is nearest to each jet, NaN without a match.

    Generated jets contain all particles but neutrinos.

    Args:
        particles: Generated particles.
        event: Event index (N,) of each jet, sorted.
        eta: η (N,) of the jets.
        phi: φ (N,) of the jets.
        settings: Settings of the jets.
    """
    visible = ~np.isin(np.abs(particles.pdg), NEUTRINOS)
    # Jets do not reach further than the detector.
    visible &= np.abs(particles.pz) < math.sinh(LARGEST_ETA) * np.hypot(particles.px, particles.py)
    particles = select_particles(particles, visible)
    momenta = particles._asdict()
    clusters = find_clusters(momenta, particles.offset, settings.jet_radius, GEN_PT_MIN)
    match = match_jets(event, eta, phi, clusters, settings.jet_radius / 2)
    softdrop = np.full(len(match), np.nan)
    softdrop[match >= 0] = softdrop_of(momenta, clusters.constituents[match[match >= 0]], settings)
    return take_or_nan(clusters.pt, match), take_or_nan(clusters.mass, match), softdrop


def take_or_nan(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the values at these indices, NaN where the index is −1."""
    return np.concatenate([values, np.full((1, *values.shape[1:]), np.nan)])[index]


def find_clusters(momenta: Mapping | np.ndarray, offset: np.ndarray, radius: float, pt_min: float) -> Clusters:
    """Return the anti-kT jets of each event `offset[i]:offset[i + 1]`."""
    sequence = run_clustering(momenta, offset, fastjet.antikt_algorithm, radius)
    jets = sequence.inclusive_jets(pt_min)
    constituents = sequence.constituent_index(pt_min)
    per_event = ak.to_numpy(ak.num(jets))
    event = np.repeat(np.arange(len(per_event)), per_event)
    px, py, pz, energy = (ak.to_numpy(ak.flatten(jets[field])) for field in CANDIDATE_FIELDS.values())
    pt = np.hypot(px, py)
    mass = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))
    return Clusters(event, pt, np.arcsinh(pz / pt), np.arctan2(py, px), mass, ak.flatten(constituents) + offset[event])


def run_clustering(
    momenta: Mapping | np.ndarray, offset: np.ndarray, algorithm: int, radius: float
) -> fastjet.ClusterSequence:
    """Cluster each group `offset[i]:offset[i + 1]` of momenta separately."""
    particles = ak.zip({to: momenta[name] for name, to in CANDIDATE_FIELDS.items()}, with_name="Momentum4D")
    return fastjet.ClusterSequence(ak.unflatten(particles, np.diff(offset)), fastjet.JetDefinition(algorithm, radius))


def match_jets(
    event: np.ndarray, eta: np.ndarray, phi: np.ndarray, targets: Tops | Clusters, distance: float
) -> np.ndarray:
    """Match each jet to the nearest top quark or generated jet of its event.

    A target matches one jet only, the nearest.

    Args:
        event: Event index (N,) of each jet, sorted.
        eta: η (N,) of the jets.
        phi: φ (N,) of the jets.
        targets: Top quarks or generated jets of the batch.
        distance: Upper limit of ΔR.

    Returns:
        Index (N,) of the target of each jet, −1 without a match.
    """
    first = np.searchsorted(targets.event, event)
    count = np.searchsorted(targets.event, event, side="right") - first
    jet = np.repeat(np.arange(len(event)), count)
    target = np.arange(len(jet)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    delta = np.hypot(eta[jet] - targets.eta[target], delta_phi(phi[jet], targets.phi[target]))
    matched = np.full(len(event), -1)
    taken = np.zeros(len(targets.event), bool)
    for k in np.argsort(delta, kind="stable"):
        if delta[k] >= distance:
            break
        if matched[jet[k]] < 0 and not taken[target[k]]:
            matched[jet[k]] = target[k]
            taken[target[k]] = True
    return matched


def delta_phi(phi: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return `phi` − `other`, wrapped to −π..π."""
    return (phi - other + np.pi) % (2 * np.pi) - np.pi


def softdrop_of(momenta: Mapping | np.ndarray, constituents: ak.Array, settings: JetSettings) -> np.ndarray:
    """Return the soft-drop mass (N,) in GeV of jets with these rows of `momenta` as constituents."""
    rows = ak.to_numpy(ak.flatten(constituents))
    offset = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(constituents)))])
    return softdrop_mass({name: momenta[name][rows] for name in CANDIDATE_FIELDS}, offset, settings)


def softdrop_mass(momenta: Mapping | np.ndarray, offset: np.ndarray, settings: JetSettings) -> np.ndarray:
    """Return the soft-drop mass (N,) of each jet in GeV; jet i contains the momenta `offset[i]:offset[i + 1]`.

    FastJet reclusters the jets. Its own `exclusive_jets_softdrop_grooming` returns the same masses for a batch. It is
    much slower, because it lists the constituents of a jet again for each constituent.
    """
    if len(offset) == 1:
        return np.empty(0)
    clusters = run_clustering(momenta, offset, fastjet.cambridge_algorithm, R_RECLUSTER)
    jets = ak.flatten(clusters.jets())
    p4 = (ak.to_numpy(jets[field]) for field in CANDIDATE_FIELDS.values())
    history = ak.to_numpy(ak.flatten(clusters.unique_history_order()))
    return _softdrop_mass(history, offset, *p4, settings.softdrop_zcut)


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
