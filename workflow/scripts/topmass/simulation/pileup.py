"""Pile-up: further proton collisions in each event, and the mitigation of their effect on jets."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from topmass.jets import take_values
from topmass.simulation.detector import LARGEST_ETA, SMALLEST_PT
from topmass.simulation.generator import (
    COMMON,
    NEUTRINOS,
    Events,
    Particles,
    read_out,
    select_particles,
    start_pythia,
)
from topmass.simulation.helix import wrap

POOL_EVENTS = 2000
"""Minimum-bias events of a block; each is used many times, in other company and rotated."""
MINIMUM_BIAS = ("SoftQCD:inelastic = on",)
VERTEX_DZ = 0.1
"""Maximum |dz| in cm of a track from the hard collision: eleven times the central resolution at 1 GeV.

Soft forward tracks of the hard collision are lost, too: a quarter of them at |η| = 2 and 0.5 GeV."""
PUPPI_RADIUS = 0.4
"""Radius of the neighbourhood of a candidate. The method is that of JHEP 10 (2014) 059, the values are those of CMS."""
PUPPI_MIN_WEIGHT = 0.01
PUPPI_MIN_PT = (0.2, 0.015)
"""Minimum weighted pT of a neutral candidate in GeV: constant, and slope per interaction."""


class PileupSettings(NamedTuple):
    """Settings of the pile-up.

    Attributes:
        mean: Mean number of further collisions per event; their number follows a Poisson distribution.
        vertex_sigma_z: Standard deviation of their vertices along the beam, cm; the hard collision is at 0.
    """

    mean: float
    vertex_sigma_z: float


def minimum_bias_pool(collision_energy: float, seed: np.random.SeedSequence) -> Particles:
    """Return the particles of `POOL_EVENTS` inelastic proton collisions that the detector can see.

    Args:
        collision_energy: Centre-of-mass energy, GeV.
        seed: Seed of the collisions.
    """
    pythia = start_pythia([*COMMON, *MINIMUM_BIAS, f"Beams:eCM = {collision_energy}"], seed)
    particles, _ = read_out(pythia.nextBatch(POOL_EVENTS).prt)
    pt = np.hypot(particles.px, particles.py)
    visible = (pt > SMALLEST_PT) & (np.abs(particles.pz) < math.sinh(LARGEST_ETA) * pt)
    return select_particles(particles, visible & ~np.isin(np.abs(particles.pdg), NEUTRINOS))


def overlay(
    events: Events, pool: Particles, settings: PileupSettings, rng: np.random.Generator
) -> tuple[Events, Particles]:
    """Add collisions of the pool, each rotated at random around the beam and shifted along it, to each event.

    Args:
        events: Events without pile-up.
        pool: Particles of minimum-bias collisions.
        settings: Settings of the pile-up.
        rng: Random numbers.

    Returns:
        The events with the number of added collisions, and their particles with those of the added collisions.
    """
    particles = events.particles
    collisions = rng.poisson(settings.mean, len(particles.offset) - 1)
    chosen = rng.integers(0, len(pool.offset) - 1, collisions.sum())
    angle = rng.uniform(0, 2 * math.pi, len(chosen))
    shift = 0.01 * rng.normal(0, settings.vertex_sigma_z, len(chosen))
    added_offset, rows = take_values(pool.offset, chosen)
    cosine, sine, shift = (np.repeat(value, np.diff(added_offset)) for value in (np.cos(angle), np.sin(angle), shift))
    added = pool._replace(**{name: getattr(pool, name)[rows] for name in Particles._fields[1:]})
    added = added._replace(
        px=cosine * added.px - sine * added.py,
        py=sine * added.px + cosine * added.py,
        x=cosine * added.x - sine * added.y,
        y=sine * added.x + cosine * added.y,
        z=added.z + shift,
    )
    event_offset = added_offset[np.concatenate([[0], np.cumsum(collisions)])]
    offset = particles.offset + event_offset
    hard = np.arange(particles.offset[-1]) + np.repeat(event_offset[:-1], np.diff(particles.offset))
    place = np.ones(offset[-1], bool)
    place[hard] = False
    columns = []
    for own, other in zip(particles[1:], added[1:], strict=True):
        column = np.empty(offset[-1], own.dtype)
        column[hard], column[place] = own, other
        columns.append(column)
    return events._replace(pileup=collisions), Particles(offset, *columns)


def mitigate(candidates: np.ndarray, offset: np.ndarray, collisions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Remove tracks of other vertices (charged-hadron subtraction), and weight neutral candidates by PUPPI.

    Args:
        candidates: Candidates (CANDIDATE) of all events.
        offset: Offsets (events + 1,) of the candidates.
        collisions: Number (events,) of added collisions.

    Returns:
        The remaining candidates with weighted momenta, and their offsets.
    """
    weight = puppi_weights(candidates, offset, collisions)
    kept = weight > 0
    remaining = candidates[kept]
    for name in ("px", "py", "pz", "energy"):
        remaining[name] *= weight[kept]
    return remaining, np.concatenate([[0], np.cumsum(kept)])[offset]


@njit(cache=True)
def puppi_weights(candidates, offset, collisions):
    """Return the weight of each candidate: 1 for tracks of the hard vertex, 0 for other tracks, 0 to 1 for neutrals.

    α of a candidate is log Σ (pT / ΔR)² over the tracks of the hard vertex within `PUPPI_RADIUS`. Tracks of other
    vertices give its median and its spread below the median for pile-up. The weight of a neutral candidate is the
    probability that pile-up has a smaller α (χ² with one degree of freedom).
    """
    n = len(candidates)
    weight = np.zeros(n)
    eta, phi, pt, alpha = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for k in range(n):
        pt[k] = math.hypot(candidates[k].px, candidates[k].py)
        eta[k], phi[k] = math.asinh(candidates[k].pz / pt[k]), math.atan2(candidates[k].py, candidates[k].px)
    for event in range(len(offset) - 1):
        first, last = offset[event], offset[event + 1]
        dz = candidates[first:last].dz
        hard = first + np.flatnonzero(np.abs(dz) < VERTEX_DZ)
        hard = hard[np.argsort(eta[hard])]
        hard_eta = eta[hard]
        weight[hard] = 1.0
        for k in range(first, last):
            total = 0.0
            for i in range(np.searchsorted(hard_eta, eta[k] - PUPPI_RADIUS), len(hard)):
                if hard_eta[i] > eta[k] + PUPPI_RADIUS:
                    break
                squared = (hard_eta[i] - eta[k]) ** 2 + wrap(phi[hard[i]] - phi[k]) ** 2
                if hard[i] != k and squared < PUPPI_RADIUS**2:
                    total += pt[hard[i]] ** 2 / max(squared, 1e-4)
            alpha[k] = math.log(total) if total > 0 else -math.inf
        of_event = alpha[first:last]
        of_pileup = of_event[(np.abs(dz) >= VERTEX_DZ) & (of_event > -math.inf)]
        if len(of_pileup) == 0:
            weight[first:last][np.isnan(dz)] = 1.0
            continue
        median = np.median(of_pileup)
        below = of_pileup[of_pileup <= median]
        variance = max(np.mean((below - median) ** 2), 1e-6)
        threshold = PUPPI_MIN_PT[0] + PUPPI_MIN_PT[1] * collisions[event]
        for k in range(first, last):
            if math.isnan(candidates[k].dz) and alpha[k] > median:
                probability = math.erf((alpha[k] - median) / math.sqrt(2 * variance))
                if probability > PUPPI_MIN_WEIGHT and probability * pt[k] > threshold:
                    weight[k] = probability
    return weight
