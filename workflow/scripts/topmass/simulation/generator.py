"""Generation of top quarks and QCD jets with Pythia 8, as arrays per batch."""

import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import awkward as ak
import numpy as np
import pythia8mc

from topmass.files import BadInput

TOP, W, NEUTRINOS = 6, 24, (12, 14, 16)
"""PDG numbers."""
CONFLICTING_ENV_VARS = ("PYTHIA8DATA", "PYTHIA8CMND", "PYTHIA8CONTRIB")
"""Variables of software stacks; they override the data of the wheel with those of another Pythia version."""

COMMON = (
    "Print:quiet = on",
    "Random:setSeed = on",
    "6:mMin = 0",
    # W bosons decay to quarks only.
    "24:onMode = off",
    "24:onIfAny = 1 2 3 4 5",
    # Particles decay only inside this cylinder (mm), which contains tracker and calorimeters.
    "ParticleDecays:limitCylinder = on",
    "ParticleDecays:xyMax = 1100.",
    "ParticleDecays:zMax = 2900.",
)


@dataclass(frozen=True)
class GeneratorSettings:
    """Settings of the generator; masses, transverse momenta and energies in GeV.

    Attributes:
        process: "gun" is g g → t t̄ with flat mass, pT and η, without a physical rate. "ttbar" is pp → t t̄ and "qcd"
            is pp → two partons other than top. Both have all QCD subprocesses.
        mass: Range of the top mass; a forced wide Breit–Wigner spreads the masses of "ttbar" over it. A number is the
            pole mass of "ttbar", with its natural width. None for "qcd".
        pt: Range of the top pT for "gun", of p̂T of the hard process otherwise.
        eta_max: Maximum |η| of the top quarks; "gun" only.
        collision_energy: Centre-of-mass energy of "ttbar", "qcd" and pile-up.
        initial_state_radiation: Simulate initial-state radiation.
        multiparton_interactions: Simulate multiparton interactions.
        pt_bias: The p̂T spectrum of "ttbar" and "qcd" is the physical one times p̂T to this power.
        pythia: Further settings of Pythia, such as "TimeShower:renormMultFac = 4"; they override those above.
    """

    process: str
    mass: tuple[float, float] | float | None
    pt: tuple[float, float]
    eta_max: float
    collision_energy: float
    initial_state_radiation: bool
    multiparton_interactions: bool
    pt_bias: float
    pythia: tuple[str, ...] = ()


class Particles(NamedTuple):
    """Final particles of a batch, flat; event i is `offset[i]:offset[i + 1]`; GeV and metres."""

    offset: np.ndarray
    pdg: np.ndarray
    px: np.ndarray
    py: np.ndarray
    pz: np.ndarray
    energy: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray


class Tops(NamedTuple):
    """Top quarks (N,) just before their decay, ordered by event; GeV.

    `event` is the index in the batch. The arrays `quark_*`, (N, 3), describe the b quark and the two quarks of the W
    boson, directly after the decays.
    """

    event: np.ndarray
    mass: np.ndarray
    pt: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    quark_pt: np.ndarray
    quark_eta: np.ndarray
    quark_phi: np.ndarray
    quark_mass: np.ndarray


class TopGun(pythia8mc.LHAup):
    """Les Houches source of g g → t t̄ with flat top mass, pT and η, back to back in φ.

    Colour flows from the beams through the tops, so that Pythia showers and hadronises a complete event. The beams
    only provide the gluons: their energy is 5 % above the largest that a gluon needs, mT · exp(η_max).
    """

    def __init__(self, settings: GeneratorSettings, rng: np.random.Generator) -> None:
        super().__init__(3)
        self.settings = settings
        self.rng = rng

    def setInit(self) -> bool:
        """Set two proton beams and events of weight one; Pythia calls this method one time."""
        transverse = math.hypot(self.settings.pt[1], self.settings.mass[1])
        beam_energy = 1.05 * transverse * math.exp(self.settings.eta_max)
        self.setBeamA(2212, beam_energy)
        self.setBeamB(2212, beam_energy)
        self.setStrategy(3)
        self.addProcess(1, 1.0, 0.0, 1.0)
        return True

    def setEvent(self, process: int = 0) -> bool:
        """Set two incoming gluons and two outgoing top quarks; Pythia calls this method for each event."""
        masses = self.rng.uniform(*self.settings.mass, 2)
        etas = self.rng.uniform(-self.settings.eta_max, self.settings.eta_max, 2)
        pt = self.rng.uniform(*self.settings.pt)
        phi = self.rng.uniform(0, 2 * math.pi)
        px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * np.sinh(etas)
        energies = np.sqrt(pt**2 + pz**2 + masses**2)
        forward, backward = (energies.sum() + pz.sum()) / 2, (energies.sum() - pz.sum()) / 2
        # α_em and α_s are ignored by Pythia. Particles have PDG number, status, mothers, colours, p4 and mass.
        self.setProcess(1, 1.0, max(pt, *masses), 0.0073, 0.1)
        self.addParticle(21, -1, 0, 0, 101, 102, 0, 0, forward, forward, 0)
        self.addParticle(21, -1, 0, 0, 102, 103, 0, 0, -backward, backward, 0)
        self.addParticle(TOP, 1, 1, 2, 101, 0, px, py, pz[0], energies[0], masses[0])
        self.addParticle(-TOP, 1, 1, 2, 0, 103, -px, -py, pz[1], energies[1], masses[1])
        return True


class Events(NamedTuple):
    """A batch of events.

    Attributes:
        particles: Final particles of the hard collisions.
        tops: Top quarks.
        has_tops: Whether the process makes top quarks, so that jets must match one.
        weight: Weight (events,) that undoes the bias of the pT spectrum; 1 for "gun".
        pileup: Number (events,) of further collisions.
    """

    particles: Particles
    tops: Tops
    has_tops: bool
    weight: np.ndarray
    pileup: np.ndarray


class Generator:
    """Pythia instance whose events depend only on the settings and the seed.

    Raises:
        BadInput: If Pythia rejects the settings.
    """

    def __init__(self, settings: GeneratorSettings, seed: np.random.SeedSequence) -> None:
        self.settings = settings
        pythia_seed, gun_seed = seed.spawn(2)
        # Pythia does not own the source of its events: the generator keeps it alive.
        self.gun = TopGun(settings, np.random.default_rng(gun_seed)) if settings.process == "gun" else None
        switches = (
            f"PartonLevel:ISR = {'on' if settings.initial_state_radiation else 'off'}",
            f"PartonLevel:MPI = {'on' if settings.multiparton_interactions else 'off'}",
        )
        process_lines = ("Beams:frameType = 5",) if self.gun else hard_process_settings(settings)
        self.pythia = start_pythia([*COMMON, *switches, *process_lines, *settings.pythia], pythia_seed, self.gun)

    def batch(self, number: int) -> Events:
        """Generate `number` events without pile-up; return those that Pythia completes, at least one.

        Raises:
            BadInput: If Pythia completes none of them.
        """
        batch = self.pythia.nextBatch(number)
        if not len(batch.prt):
            raise BadInput(f"Pythia completes none of {number:,} events with these settings: {self.settings}")
        particles, tops = read_out(batch.prt)
        weight = ak.to_numpy(batch.info.weights)[:, 0]
        return Events(particles, tops, self.settings.process != "qcd", weight, np.zeros(len(weight), int))


def start_pythia(
    lines: Sequence[str], seed: np.random.SeedSequence, source: pythia8mc.LHAup | None = None
) -> pythia8mc.Pythia:
    """Return an initialised Pythia.

    Args:
        lines: Settings in Pythia's own form.
        seed: Seed of the events.
        source: Les Houches source of the hard process; None for a process of Pythia.

    Raises:
        BadInput: If Pythia does not know a setting, or cannot start with them.
    """
    for name in CONFLICTING_ENV_VARS:
        os.environ.pop(name, None)
    with captured_output() as output:
        pythia = pythia8mc.Pythia("", False)
        # Pythia takes seeds from 1 to 900,000,000.
        for line in (*lines, f"Random:seed = {1 + int(seed.generate_state(1)[0]) % 900_000_000}"):
            if not pythia.readString(line):
                raise BadInput(f"Pythia does not know the setting '{line}', or not its value")
        if source:
            pythia.setLHAupPtr(source)
        started = pythia.init()
    if not started:
        reasons = [line.split("PYTHIA ")[1] for line in output if "PYTHIA Error" in line or "PYTHIA Abort" in line]
        reason = "; ".join(dict.fromkeys(reasons)) or "it gives no reason"
        raise BadInput(f"Pythia does not start ({reason}) with these settings: {', '.join(lines)}")
    return pythia


@contextmanager
def captured_output() -> Iterator[list[str]]:
    """Hide what C++ code prints, and collect its lines in a list that is filled when the block ends.

    These are Pythia's errors, and the banner of Vincia, which no setting prevents.
    """
    lines: list[str] = []
    sys.stdout.flush()
    stdout = os.dup(1)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        os.dup2(file.fileno(), 1)
        try:
            yield lines
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
            file.seek(0)
            lines += file.read().splitlines()


def hard_process_settings(settings: GeneratorSettings) -> tuple[str, ...]:
    """Return the Pythia settings of pp → t t̄ or pp → jets.

    The weights of the events undo the bias of the p̂T spectrum. An artificial width that spreads the top mass over a
    range has no weight: it produces a training spectrum, not a prediction.
    """
    common = (
        f"Beams:eCM = {settings.collision_energy}",
        f"PhaseSpace:pTHatMin = {settings.pt[0]}",
        f"PhaseSpace:pTHatMax = {settings.pt[1]}",
        "PhaseSpace:bias2Selection = on",
        f"PhaseSpace:bias2SelectionPow = {settings.pt_bias}",
        f"PhaseSpace:bias2SelectionRef = {settings.pt[0]}",
    )
    if settings.process == "qcd":
        return (*common, "HardQCD:all = on")
    top_pair = (*common, "Top:gg2ttbar = on", "Top:qqbar2ttbar = on")
    if not isinstance(settings.mass, Sequence):
        return (*top_pair, f"6:m0 = {settings.mass}")
    low, high = settings.mass
    return (
        *top_pair,
        f"6:m0 = {(low + high) / 2}",
        "6:doForceWidth = on",
        f"6:mWidth = {high - low}",
        f"6:mMin = {low}",
        f"6:mMax = {high}",
    )


def read_out(record: ak.Array) -> tuple[Particles, Tops]:
    """Return the final particles and the decaying top quarks of a batch of Pythia event records."""
    offset = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(record.id)))])
    flat = ak.flatten(record)
    pdg, status = ak.to_numpy(flat.id), ak.to_numpy(flat.status)
    px, py, pz = (ak.to_numpy(flat.p[axis]) for axis in ("px", "py", "pz"))
    final = np.flatnonzero(status > 0)
    # The components of the vertex have the names of momenta, and are in mm.
    born = flat.vProd[final]
    vertex = (ak.to_numpy(ak.fill_none(born[axis], 0.0)) * 1e-3 for axis in ("px", "py", "pz"))
    particles = Particles(
        np.searchsorted(final, offset),
        pdg[final], px[final], py[final], pz[final], ak.to_numpy(flat.p.e)[final],
        *vertex,
    )  # fmt: skip
    start = np.repeat(offset[:-1], np.diff(offset))
    daughters = np.stack([start + ak.to_numpy(flat[name]) for name in ("daughter1", "daughter2")])
    # A top that radiates has daughters too: only the last copy has a W daughter.
    top = np.flatnonzero(np.abs(pdg) == TOP)
    top = top[(np.abs(pdg[daughters[:, top]]) == W).any(axis=0)]
    event = np.searchsorted(offset, top, side="right") - 1
    quarks = find_quarks(top, pdg, daughters)
    mass = ak.to_numpy(flat.m)
    top_kinematics, quark_kinematics = (cylindrical(px[rows], py[rows], pz[rows]) for rows in (top, quarks))
    return particles, Tops(event, mass[top], *top_kinematics, *quark_kinematics, mass[quarks])


def select_particles(particles: Particles, mask: np.ndarray) -> Particles:
    """Return the particles of a mask (N,), with the offsets of their events."""
    offset = np.concatenate([[0], np.cumsum(mask)])[particles.offset]
    return Particles(offset, *(column[mask] for column in particles[1:]))


def cylindrical(px: np.ndarray, py: np.ndarray, pz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pT, η and φ."""
    pt = np.hypot(px, py)
    return pt, np.arcsinh(pz / pt), np.arctan2(py, px)


def find_quarks(top: np.ndarray, pdg: np.ndarray, daughters: np.ndarray) -> np.ndarray:
    """Return the rows (N, 3) of the three quarks of t → b W → b q q′ for each decaying top quark.

    The quarks are taken at the decay vertices of top and W, before they radiate. Their invariant mass is the top mass,
    except for the recoil of the W when the b radiates. The prongs of the jet include the radiation of the quarks.

    Args:
        top: Rows (N,) of the decaying top quarks.
        pdg: PDG numbers (M,) of all particles.
        daughters: Rows (2, M) of the first and last daughter of each particle.
    """
    of_top = daughters[:, top]
    w_first = np.abs(pdg[of_top[0]]) == W
    b, w = np.where(w_first, of_top[::-1], of_top)
    while True:
        of_w = daughters[:, w]
        # A W that recoils or radiates a photon has a copy of itself as a daughter.
        copies = np.abs(pdg[of_w]) == W
        if not copies.any():
            return np.stack([b, *of_w], axis=1)
        w = np.where(copies[0], of_w[0], np.where(copies[1], of_w[1], w))
