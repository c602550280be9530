"""Generation of top quarks with Pythia 8, as arrays per batch."""

import math
import os
from dataclasses import dataclass
from typing import NamedTuple

import awkward as ak
import numpy as np
import pythia8mc

from topmass.files import BadInput

TOP, W = 6, 24
CONFLICTING_ENV_VARS = ("PYTHIA8DATA", "PYTHIA8CMND", "PYTHIA8CONTRIB")
"""Variables of software stacks; they override the data of the wheel with those of another Pythia version."""

COMMON = (
    "Print:quiet = on",
    "Random:setSeed = on",
    "6:mMin = 0",
    "24:onMode = off",
    "24:onIfAny = 1 2 3 4 5",
    # Particles that leave this cylinder (mm), tracker and calorimeters, do not decay.
    "ParticleDecays:limitCylinder = on",
    "ParticleDecays:xyMax = 1100.",
    "ParticleDecays:zMax = 2900.",
)


@dataclass(frozen=True)
class GeneratorSettings:
    """Settings of the generator; masses, transverse momenta and energies in GeV.

    Attributes:
        process: "gun" is g g → t t̄ with flat mass, pT and η, without a physical rate. "ttbar" is pp → t t̄ with all
            QCD subprocesses; a forced wide Breit–Wigner spreads the top masses over the range.
        mass: Range of the top mass.
        pt: Range of the top pT.
        eta_max: Maximum |η| of the top quarks; "gun" only.
        collision_energy: Centre-of-mass energy; "ttbar" only.
        initial_state_radiation: Simulate initial-state radiation.
        multiparton_interactions: Simulate multiparton interactions.
    """

    process: str
    mass: tuple[float, float]
    pt: tuple[float, float]
    eta_max: float
    collision_energy: float
    initial_state_radiation: bool
    multiparton_interactions: bool


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

    `event` is the index in the batch. The arrays `quark_*`, (N, 3), describe the decay quarks of `find_quarks`.
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
    only provide the gluons: their energy is just high enough to accept every combination.
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
        # Electromagnetic and strong coupling at the scale of the process; Pythia uses its own values.
        self.setProcess(1, 1.0, max(pt, *masses), 0.0073, 0.1)
        self.addParticle(21, -1, 0, 0, 101, 102, 0, 0, forward, forward, 0)
        self.addParticle(21, -1, 0, 0, 102, 103, 0, 0, -backward, backward, 0)
        self.addParticle(TOP, 1, 1, 2, 101, 0, px, py, pz[0], energies[0], masses[0])
        self.addParticle(-TOP, 1, 1, 2, 0, 103, -px, -py, pz[1], energies[1], masses[1])
        return True


class Generator:
    """Pythia instance whose events depend only on the settings and the seed.

    Raises:
        BadInput: If Pythia rejects the settings.
    """

    def __init__(self, settings: GeneratorSettings, seed: np.random.SeedSequence) -> None:
        pythia_seed, gun_seed = seed.spawn(2)
        for name in CONFLICTING_ENV_VARS:
            os.environ.pop(name, None)
        self.pythia = pythia8mc.Pythia("", False)
        for line in COMMON:
            self._read(line)
        # Pythia takes seeds from 1 to 900,000,000.
        self._read(f"Random:seed = {1 + int(pythia_seed.generate_state(1)[0]) % 900_000_000}")
        self._read(f"PartonLevel:ISR = {'on' if settings.initial_state_radiation else 'off'}")
        self._read(f"PartonLevel:MPI = {'on' if settings.multiparton_interactions else 'off'}")
        if settings.process == "gun":
            self._read("Beams:frameType = 5")
            self.gun = TopGun(settings, np.random.default_rng(gun_seed))
            self.pythia.setLHAupPtr(self.gun)
        else:
            for line in full_process(settings):
                self._read(line)
        if not self.pythia.init():
            raise BadInput(f"Pythia cannot start with these settings: {settings}")

    def _read(self, line: str) -> None:
        if not self.pythia.readString(line):
            raise BadInput(f"Pythia does not know the setting '{line}'")

    def batch(self, events: int) -> tuple[Particles, Tops]:
        """Return the final particles and the top quarks of the next `events` events."""
        return read_out(self.pythia.nextBatch(events).prt)


def full_process(settings: GeneratorSettings) -> tuple[str, ...]:
    """Return the Pythia settings of pp → t t̄ with top masses over the whole range and pT biased to high values.

    The bias and the artificial width produce a training spectrum, not a prediction.
    """
    low, high = settings.mass
    return (
        f"Beams:eCM = {settings.collision_energy}",
        "Top:gg2ttbar = on",
        "Top:qqbar2ttbar = on",
        f"PhaseSpace:pTHatMin = {settings.pt[0]}",
        f"PhaseSpace:pTHatMax = {settings.pt[1]}",
        "PhaseSpace:bias2Selection = on",
        "PhaseSpace:bias2SelectionPow = 5.",
        f"PhaseSpace:bias2SelectionRef = {settings.pt[0]}",
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
    of_top, of_quarks = (cylindrical(px[rows], py[rows], pz[rows]) for rows in (top, quarks))
    return particles, Tops(event, mass[top], *of_top, *of_quarks, mass[quarks])


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
