"""Top quarks from Pythia 8, read out as arrays of whole batches."""

import math
import os
from dataclasses import dataclass
from typing import NamedTuple

import awkward as ak
import numpy as np
import pythia8mc

from topmass.files import BadInput

TOP, W = 6, 24
OF_ANOTHER_PYTHIA = ("PYTHIA8DATA", "PYTHIA8CMND", "PYTHIA8CONTRIB")
"""Variables of software stacks: they go before the data that the wheel brings, and name those of another version."""

COMMON = (
    "Print:quiet = on",
    "Random:setSeed = on",
    "6:mMin = 0",
    "24:onMode = off",
    "24:onIfAny = 1 2 3 4 5",
    # Particles that leave the tracker and the calorimeters, in mm, are handed on undecayed.
    "ParticleDecays:limitCylinder = on",
    "ParticleDecays:xyMax = 1100.",
    "ParticleDecays:zMax = 2900.",
)


@dataclass(frozen=True)
class GeneratorSettings:
    """What is generated. Masses, transverse momenta and energies in GeV.

    `process` is "gun" (g g → t t̄ with flat mass, pT and η, of no physical rate) or "ttbar" (pp → t t̄, all
    subprocesses of QCD, top masses spread over the range by a forced wide Breit–Wigner). `eta_max` applies to
    the gun, `collision_energy` to tt̄ only.
    """

    process: str
    mass: tuple[float, float]
    pt: tuple[float, float]
    eta_max: float
    collision_energy: float
    initial_state_radiation: bool
    multiparton_interactions: bool


class Particles(NamedTuple):
    """Final particles of a batch, flat; those of event i are at `offset[i]:offset[i + 1]`. GeV and metres."""

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
    """Top quarks just before their decay, ordered by event; `event` is the index in the batch. GeV.

    `quark_pt`, `quark_eta`, `quark_phi` and `quark_mass`, (N, 3), are those of the quarks that each decays to, see
    `find_quarks`.
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
    """A Les Houches source of g g → t t̄ whose tops have flat mass, pT and η, back to back in φ.

    Colour flows from the beams through the tops, so that Pythia showers and hadronises a complete event. The
    beams only carry the gluons: their energy is set just high enough that no combination has to be refused.
    """

    def __init__(self, settings: GeneratorSettings, rng: np.random.Generator) -> None:
        super().__init__(3)
        self.settings = settings
        self.rng = rng

    def setInit(self) -> bool:
        """Called once by Pythia: two protons, and events of weight one."""
        transverse = math.hypot(self.settings.pt[1], self.settings.mass[1])
        beam_energy = 1.05 * transverse * math.exp(self.settings.eta_max)
        self.setBeamA(2212, beam_energy)
        self.setBeamB(2212, beam_energy)
        self.setStrategy(3)
        self.addProcess(1, 1.0, 0.0, 1.0)
        return True

    def setEvent(self, process: int = 0) -> bool:
        """Called by Pythia for each event: two gluons in, two tops out."""
        masses = self.rng.uniform(*self.settings.mass, 2)
        etas = self.rng.uniform(-self.settings.eta_max, self.settings.eta_max, 2)
        pt = self.rng.uniform(*self.settings.pt)
        phi = self.rng.uniform(0, 2 * math.pi)
        px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * np.sinh(etas)
        energies = np.sqrt(pt**2 + pz**2 + masses**2)
        forward, backward = (energies.sum() + pz.sum()) / 2, (energies.sum() - pz.sum()) / 2
        # Couplings are the electromagnetic and the strong one at the scale of the process; Pythia uses its own.
        self.setProcess(1, 1.0, max(pt, *masses), 0.0073, 0.1)
        self.addParticle(21, -1, 0, 0, 101, 102, 0, 0, forward, forward, 0)
        self.addParticle(21, -1, 0, 0, 102, 103, 0, 0, -backward, backward, 0)
        self.addParticle(TOP, 1, 1, 2, 101, 0, px, py, pz[0], energies[0], masses[0])
        self.addParticle(-TOP, 1, 1, 2, 0, 103, -px, -py, pz[1], energies[1], masses[1])
        return True


class Generator:
    """Pythia, set up for one stream of events that depends on the settings and the seed alone."""

    def __init__(self, settings: GeneratorSettings, seed: np.random.SeedSequence) -> None:
        pythia_seed, gun_seed = seed.spawn(2)
        for name in OF_ANOTHER_PYTHIA:
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
        """Generate this many events and read them out."""
        return read_out(self.pythia.nextBatch(events).prt)


def full_process(settings: GeneratorSettings) -> tuple[str, ...]:
    """Pythia's lines for pp → t t̄ with top masses all over the range, and pT biased towards its upper end.

    The bias, and the width that stands for a spread of masses, make a spectrum for training, not a prediction.
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
    """The final particles and the decaying tops of a batch of Pythia's event records."""
    offset = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(record.id)))])
    flat = ak.flatten(record)
    pdg, status = ak.to_numpy(flat.id), ak.to_numpy(flat.status)
    px, py, pz = (ak.to_numpy(flat.p[axis]) for axis in ("px", "py", "pz"))
    final = status > 0
    vertex = (ak.to_numpy(ak.fill_none(flat.vProd[axis], 0.0))[final] * 1e-3 for axis in ("px", "py", "pz"))
    particles = Particles(
        np.concatenate([[0], np.cumsum(final)])[offset],
        pdg[final], px[final], py[final], pz[final], ak.to_numpy(flat.p.e)[final],
        *vertex,
    )  # fmt: skip
    start = np.repeat(offset[:-1], np.diff(offset))
    daughters = np.stack([start + ak.to_numpy(flat[name]) for name in ("daughter1", "daughter2")])
    # A top that radiates has daughters too: the last copy is the one with a W among them.
    top = np.flatnonzero(np.abs(pdg) == TOP)
    top = top[(np.abs(pdg[daughters[:, top]]) == W).any(axis=0)]
    event = np.searchsorted(offset, top, side="right") - 1
    quarks = find_quarks(top, pdg, daughters)
    mass = ak.to_numpy(flat.m)
    of_top, of_quarks = (cylindrical(px[rows], py[rows], pz[rows]) for rows in (top, quarks))
    return particles, Tops(event, mass[top], *of_top, *of_quarks, mass[quarks])


def cylindrical(px: np.ndarray, py: np.ndarray, pz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transverse momentum, η and φ."""
    pt = np.hypot(px, py)
    return pt, np.arcsinh(pz / pt), np.arctan2(py, px)


def find_quarks(top: np.ndarray, pdg: np.ndarray, daughters: np.ndarray) -> np.ndarray:
    """Rows of the three quarks of t → b W → b q q′ for each decaying top, (N, 3); `daughters` are (2, particles).

    They are taken where top and W decay, before they radiate: there they are three, and have the mass of the top (but
    for what the W recoils when the b radiates); what they radiate is part of the prongs that they become.
    """
    of_top = daughters[:, top]
    w_first = np.abs(pdg[of_top[0]]) == W
    b, w = np.where(w_first, of_top[::-1], of_top)
    while True:
        of_w = daughters[:, w]
        # A W that takes a recoil or radiates a photon has a copy of itself among its daughters.
        copies = np.abs(pdg[of_w]) == W
        if not copies.any():
            return np.stack([b, *of_w], axis=1)
        w = np.where(copies[0], of_w[0], np.where(copies[1], of_w[1], w))
