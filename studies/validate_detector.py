"""Compare the detector simulation with published properties of CMS.

    python studies/validate_detector.py [--sample ttbar] [--jets 3000] [--seed 1] [--out results/validate_detector]

`studies/detector_reference.yaml` lists the properties with sources and tolerances. The detector is that of a
sample in config.yaml. Single particles give resolutions and efficiencies; QCD and WW events with 30 further collisions
give jets. The output folder has `validation.csv`, `validation.md`, which is printed, and `validation.png`.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure

sys.path.append(str(Path(__file__).resolve().parents[1] / "workflow/scripts"))
from topmass.config.configuration import configure
from topmass.console import print_status
from topmass.files import atomic_write
from topmass.progress import track
from topmass.simulation.calorimeters import read_calorimeters
from topmass.simulation.candidates import particle_flow
from topmass.simulation.clustering import JetSettings, cluster_jets, delta_phi, find_clusters
from topmass.simulation.detector import DetectorSettings, Readout, detect
from topmass.simulation.generator import Events, Generator, GeneratorSettings, Particles
from topmass.simulation.pileup import PileupSettings, minimum_bias_pool, mitigate, overlay

REFERENCE = Path(__file__).with_name("detector_reference.yaml")
SPECIES = {"pion": (211, 0.1396), "muon": (13, 0.1057), "photon": (22, 0.0)}
"""PDG number and mass in GeV of the single particles."""
CHARGED = (11, 13, 211, 321, 2212)
PILEUP = 30
"""Mean number of further collisions in events with jets."""
Measurement = tuple[float, float]
"""Value and its statistical error."""


class Detector:
    """The detector under test, with random numbers of its own.

    Args:
        settings: Settings of a simulated sample.
        jets: Approximate number of jets or of single particles per row.
        seed: Seed of events and detector.
    """

    def __init__(self, settings: Mapping[str, Mapping], jets: int, seed: int) -> None:
        self.generator, self.vertex_sigma_z = settings["generator"], settings["pileup"]["vertex_sigma_z"]
        self.settings = DetectorSettings(**{name: float(value) for name, value in settings["detector"].items()})
        # Jets far below the bins of pT are kept: a cut on the measured pT would narrow its distribution.
        self.selection = JetSettings(**(settings["selection"] | {"pt_min": 150.0}))
        self.jets, self.seed = jets, seed
        self.rng = np.random.default_rng(seed)

    def shoot(self, row: Mapping, species: str = "pion", **settings: float) -> tuple[Particles, Readout]:
        """Return single particles, one per event, in the bin of a row, and the readout with other settings."""
        pdg, mass = SPECIES[row.get("particle", species)]
        n = self.jets
        eta = self.rng.uniform(*row["eta"], n) * self.rng.choice([-1, 1], n)
        pt = np.exp(self.rng.uniform(*np.log(row["pt"]), n)) if "pt" in row else row["energy"] / np.cosh(eta)
        phi = self.rng.uniform(-math.pi, math.pi, n)
        px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
        energy = np.hypot(pt * np.cosh(eta), mass)
        particles = Particles(np.arange(n + 1), np.full(n, pdg), px, py, pz, energy, *np.zeros((3, n)))
        return particles, detect(particles, self.settings._replace(**settings), self.rng)

    def candidates(self, readout: Readout) -> tuple[np.ndarray, np.ndarray]:
        """Return the candidates of events and their offsets."""
        return particle_flow(readout, read_calorimeters(readout, self.settings, self.rng))

    def energy_ratio(self, row: Mapping, species: str, **settings: float) -> np.ndarray:
        """Return the energy of the candidates within ΔR = 0.3 of each single particle over its own."""
        particles, readout = self.shoot(row, species, **settings)
        candidates, offset = self.candidates(readout)
        particle = np.repeat(np.arange(len(particles.pdg)), np.diff(offset))
        (eta, phi), (true_eta, true_phi) = (
            (np.arcsinh(p["pz"] / np.hypot(p["px"], p["py"])), np.arctan2(p["py"], p["px"]))
            for p in (candidates, particles._asdict())
        )
        near = np.hypot(eta - true_eta[particle], delta_phi(phi, true_phi[particle])) < 0.3
        energy = np.bincount(particle[near], candidates["energy"][near], minlength=len(particles.pdg))
        return energy / row["energy"]

    def events(self, n: int, pt: tuple[float, float], pythia: tuple[str, ...] = ()) -> Events:
        """Return QCD events with this range of p̂T in GeV."""
        settings = dict(self.generator) | {
            "process": "qcd", "mass": None, "pt": pt, "pythia": pythia,
            "initial_state_radiation": True, "multiparton_interactions": True,
        }  # fmt: skip
        return Generator(GeneratorSettings(**settings), np.random.SeedSequence(self.seed)).batch(n)

    @cached_property
    def dense_tracks(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of charged neighbours within ΔR = 0.02, and whether a track is found, of particles above 2 GeV.

        Particles are those that CMS keeps as generated: born within 1 cm of the beam. There is no pile-up: tracks do
        not depend on it here.
        """
        particles = self.events(max(self.jets // 10, 20), (1400, 1800)).particles
        tracks = detect(particles, self.settings, self.rng).tracks
        pt = np.hypot(particles.px, particles.py)
        has_track = np.zeros(len(pt), bool)
        has_track[tracks["particle"]] = np.abs(tracks["pt"] / pt[tracks["particle"]] - 1) < 0.2
        eta, phi = np.arcsinh(particles.pz / pt), np.arctan2(particles.py, particles.px)
        charged = np.isin(np.abs(particles.pdg), CHARGED) & (pt > 0.5) & (np.abs(eta) < 2.4)
        charged &= np.hypot(particles.x, particles.y) < 0.01
        neighbours, tracked = [], []
        for first, last in zip(particles.offset[:-1], particles.offset[1:], strict=True):
            rows = first + np.flatnonzero(charged[first:last])
            close = np.hypot(eta[rows, None] - eta[rows], delta_phi(phi[rows, None], phi[rows])) < 0.02
            neighbours.append(close.sum(axis=1)[pt[rows] > 2] - 1)
            tracked.append(has_track[rows[pt[rows] > 2]])
        return np.concatenate(neighbours), np.concatenate(tracked)

    def jet_sample(self, pt: tuple[float, float], pythia: tuple[str, ...] = ()) -> pd.DataFrame:
        """Return jets of events with a mean of `PILEUP` further collisions, one row per jet, without weights."""
        pool = minimum_bias_pool(self.generator["collision_energy"], np.random.SeedSequence(self.seed + 1))
        events = self.events(self.jets, pt, pythia)
        events, particles = overlay(events, pool, PileupSettings(PILEUP, self.vertex_sigma_z), self.rng)
        readout = detect(particles, self.settings, self.rng)
        candidates, offset = mitigate(*self.candidates(readout), events.pileup)
        jets = cluster_jets(candidates, offset, events, self.selection)
        clusters = find_clusters(candidates, offset, self.selection.jet_radius, self.selection.pt_min)
        constituents = clusters.constituents[np.abs(clusters.eta) < self.selection.eta_max]
        rows, number = ak.to_numpy(ak.flatten(constituents)), ak.to_numpy(ak.num(constituents))
        charged = np.where(np.isnan(candidates["dz"][rows]), 0, candidates["energy"][rows])
        charged, energy = (ak.sum(ak.unflatten(e, number), axis=1) for e in (charged, candidates["energy"][rows]))
        return pd.DataFrame({
            "pt": jets.pt, "eta": np.abs(jets.eta), "gen_pt": jets.gen_jet_pt, "softdrop_mass": jets.softdrop_mass,
            "gen_softdrop_mass": jets.gen_softdrop_mass,
            "constituents": number, "charged_fraction": ak.to_numpy(charged / energy),
        })  # fmt: skip

    @cached_property
    def qcd(self) -> pd.DataFrame:
        """QCD jets of 400 to 1000 GeV, and some below and above."""
        return self.jet_sample((300, 1300))

    @cached_property
    def hard_qcd(self) -> pd.DataFrame:
        """QCD jets of the p̂T range of the CMS file."""
        return self.jet_sample((1400, 1800))

    @cached_property
    def ww(self) -> pd.DataFrame:
        """Jets of W bosons above 400 GeV."""
        return self.jet_sample((400, 700), ("HardQCD:all = off", "WeakDoubleBoson:ffbar2WW = on"))


def fraction(passed: np.ndarray) -> Measurement:
    """Return the fraction of true values and its binomial error."""
    n, k = len(passed), passed.sum()
    return k / n, math.sqrt((k + 0.5) * (n - k + 0.5) / ((n + 1) ** 2 * (n + 2)))


def half_width(values: np.ndarray) -> Measurement:
    """Return half the distance of the 16 and 84 % quantiles, and its error for a normal distribution."""
    low, high = np.quantile(values, [0.16, 0.84])
    # The variance of this estimate is 1.84 times that of the standard deviation.
    return (high - low) / 2, (high - low) / 2 * math.sqrt(1.84 / (2 * len(values)))


def median(values: np.ndarray) -> Measurement:
    """Return the median and its error for a normal distribution."""
    return float(np.median(values)), 1.25 * half_width(values)[0] / math.sqrt(len(values))


def track_efficiency(detector: Detector, row: Mapping) -> Measurement:
    """Fraction of isolated pions with a track of a pT within 20 %."""
    particles, readout = detector.shoot(row)
    tracks = readout.tracks
    ratio = tracks["pt"] / np.hypot(particles.px, particles.py)[tracks["particle"]]
    return fraction(np.isin(np.arange(len(particles.pdg)), tracks["particle"][np.abs(ratio - 1) < 0.2]))


def track_efficiency_in_jets(detector: Detector, row: Mapping) -> Measurement:
    """Fraction of charged particles in QCD events with a track, by number of charged neighbours."""
    neighbours, tracked = detector.dense_tracks
    low, high = row["neighbours"]
    return fraction(tracked[(neighbours >= low) & (neighbours <= high)])


def track_pt_resolution(detector: Detector, row: Mapping) -> Measurement:
    """Half-width of the measured over the generated pT."""
    particles, readout = detector.shoot(row)
    return half_width(readout.tracks["pt"] / np.hypot(particles.px, particles.py)[readout.tracks["particle"]])


def track_d0_resolution(detector: Detector, row: Mapping) -> Measurement:
    """Half-width of d0 in µm."""
    return half_width(1e4 * detector.shoot(row)[1].tracks["d0"])


def track_dz_resolution(detector: Detector, row: Mapping) -> Measurement:
    """Half-width of dz in µm."""
    return half_width(1e4 * detector.shoot(row)[1].tracks["dz"])


def photon_resolution(detector: Detector, row: Mapping) -> Measurement:
    """Half-width of the measured energy of photons, over the median."""
    ratio = detector.energy_ratio(row, "photon")
    return half_width(ratio / np.median(ratio))


def hadron_resolution(detector: Detector, row: Mapping) -> Measurement:
    """Half-width of the calorimeter energy of pions without tracks, over the median."""
    ratio = detector.energy_ratio(row, "pion", track_eta_max=0.0)
    return half_width(ratio / np.median(ratio))


def jet_constituents(detector: Detector, row: Mapping) -> Measurement:
    """Median number of constituents of QCD jets."""
    return median(detector.hard_qcd.query(f"pt > {row['pt_min']}")["constituents"].to_numpy())


def jet_charged_fraction(detector: Detector, row: Mapping) -> Measurement:
    """Median energy fraction of candidates with a track in QCD jets."""
    return median(detector.hard_qcd.query(f"pt > {row['pt_min']}")["charged_fraction"].to_numpy())


def jet_pt_resolution(detector: Detector, row: Mapping) -> Measurement:
    """Half-width of the measured over the generated pT of QCD jets, over the median."""
    (low, high), (eta_low, eta_high) = row["pt"], row["eta"]
    jets = detector.qcd.query(f"{low} < gen_pt < {high} and {eta_low} <= eta < {eta_high}")
    ratio = (jets["pt"] / jets["gen_pt"]).to_numpy()
    return half_width(ratio / np.median(ratio))


def w_softdrop_resolution(detector: Detector, row: Mapping) -> Measurement:
    """Half-width of the measured over the generated soft-drop mass of jets of W bosons, over the median."""
    jets = detector.ww.query(f"pt > {row['pt_min']} and 70 < gen_softdrop_mass < 90")
    ratio = (jets["softdrop_mass"] / jets["gen_softdrop_mass"]).to_numpy()
    return half_width(ratio / np.median(ratio))


QUANTITIES: dict[str, Callable[[Detector, Mapping], Measurement]] = {
    measure.__name__: measure
    for measure in (
        track_efficiency, track_efficiency_in_jets, track_pt_resolution, track_d0_resolution, track_dz_resolution,
        photon_resolution, hadron_resolution, jet_constituents, jet_charged_fraction,
        jet_pt_resolution, w_softdrop_resolution,
    )
}  # fmt: skip


def validate(settings: Mapping[str, Mapping], reference: Mapping, jets: int, seed: int) -> pd.DataFrame:
    """Return one row per property: quantity, bin, CMS value and error, our value and error, tolerance, passed.

    Args:
        settings: Settings of a simulated sample.
        reference: Content of `detector_reference.yaml`.
        jets: Approximate number of jets or of single particles per row.
        seed: Seed of events and detector.
    """
    detector = Detector(settings, jets, seed)
    rows = []
    for number, row in enumerate(track(reference["rows"], "validation", "row")):
        # Each row has its own random numbers: a new row does not change the others.
        detector.rng = np.random.default_rng([seed, number])
        value, error = QUANTITIES[row["quantity"]](detector, row)
        errors = reference["tolerance"]["errors"] * math.hypot(row["error"], error)
        tolerance = max(errors, reference["tolerance"]["relative"] * row["value"])
        where = {key: row[key] for key in row if key not in ("quantity", "value", "error", "source")}
        rows.append({
            "quantity": row["quantity"], "bin": ", ".join(f"{key} {describe(span)}" for key, span in where.items()),
            "cms": row["value"], "cms_error": row["error"], "topmass": value, "topmass_error": error,
            "tolerance": tolerance, "passed": abs(value - row["value"]) <= tolerance, "source": row["source"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def describe(span: object) -> str:
    """Return a value or a range of a bin as text."""
    return "–".join(f"{end:g}" for end in dict.fromkeys(span)) if isinstance(span, list) else str(span)


def markdown(table: pd.DataFrame, reference: Mapping) -> str:
    """Return the table as Markdown, with the sources."""
    lines = ["| quantity | bin | CMS | topmass | tolerance | | source |", "|---|---|--:|--:|--:|---|---|"]
    for row in table.itertuples():
        ours, cms = (f"{value:.3g} ± {error:.1g}" for value, error in
                     ((row.topmass, row.topmass_error), (row.cms, row.cms_error)))  # fmt: skip
        verdict = "pass" if row.passed else "**fail**"
        name = row.quantity.replace("_", " ")
        lines.append(f"| {name} | {row.bin} | {cms} | {ours} | {row.tolerance:.2g} | {verdict} | {row.source} |")
    lines += ["", f"{table.passed.sum()} of {len(table)} rows are within their tolerance.", ""]
    lines += [f"- {name}: {' '.join(text.split())}" for name, text in reference["sources"].items()]
    return "\n".join(lines) + "\n"


def draw(table: pd.DataFrame) -> Figure:
    """Draw each quantity: the CMS values with their tolerance, and ours."""
    groups = list(table.groupby("quantity", sort=False))
    figure = Figure(figsize=(15, 4 * math.ceil(len(groups) / 3)), layout="constrained")
    panels = figure.subplots(math.ceil(len(groups) / 3), 3).flat
    for (name, rows), panel in zip(groups, panels, strict=False):
        at = np.arange(len(rows))
        panel.errorbar(
            at, rows.cms, rows.tolerance, fmt="s", color="0.4", elinewidth=6, alpha=0.5, label="CMS ± tolerance"
        )
        panel.errorbar(at + 0.1, rows.topmass, rows.topmass_error, fmt="o", color="C0", label="topmass")
        panel.set_xticks(at, rows.bin, rotation=60, ha="right", fontsize=7)
        panel.set_title(name.replace("_", " "))
        panel.set_xlim(-0.5, len(rows) - 0.5)
        panel.set_ylim(bottom=0)
    for panel in panels:
        panel.set_axis_off()
    figure.axes[0].legend()
    return figure


def main() -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description="Compare the detector simulation with published properties of CMS.")
    parser.add_argument("--sample", default="ttbar", help="simulated sample with the detector (default: ttbar)")
    parser.add_argument("--jets", type=int, default=3000, help="jets or single particles per row (default: 3000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/validate_detector"))
    arguments = parser.parse_args()
    reference = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))
    table = validate(configure([])["samples"][arguments.sample]["simulate"], reference, arguments.jets, arguments.seed)
    text = markdown(table, reference)
    with atomic_write(arguments.out / "validation.csv") as part:
        table.to_csv(part, index=False)
    with atomic_write(arguments.out / "validation.md") as part:
        part.write_text(text, encoding="utf-8")
    with atomic_write(arguments.out / "validation.png", ".png") as part:
        draw(table).savefig(part, dpi=100)
    print_status(text)


if __name__ == "__main__":
    main()
