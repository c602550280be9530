"""Known formats of ROOT files with particle-flow candidates: trees and names of branches."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from topmass.files import BadInput
from topmass.io.columns import OPTIONAL
from topmass.jets import POSITION_COLUMNS
from topmass.layers import Layer, find_layer

PARQUET_FORMAT = "parquet"
"""The format of files without candidates, which `topmass.io.parquet_input` reads."""
CANDIDATE_LAYERS: tuple[Layer, ...] = tuple(map(find_layer, ("track_pt", "track_dz", "track_d0", "ecal", "hcal")))
"""Layers that candidates fill; they leave no hits in the pixel detector."""
JET_AXIS = ("pt", "eta", "phi")
IDENTIFIERS = ("run", "luminosityBlock")
"""Optional branches with one number per event that identify it together with `event`."""


class RootFormat(NamedTuple):
    """Format of a ROOT file.

    Attributes:
        tree: Default name of the tree; a file with one tree may have another name.
        required: Default branch of each required quantity.
        optional: Default branch of each optional quantity; absent branches are skipped.
        jets_per_entry: Whether an entry is an event with a list of jets, instead of one jet.
        impact_unit: cm per unit of the impact parameters of the candidates.
    """

    tree: str
    required: Mapping[str, str]
    optional: Mapping[str, str]
    jets_per_entry: bool
    impact_unit: float

    @property
    def quantities(self) -> list[str]:
        """Names of all quantities that may have a branch."""
        computed = {*POSITION_COLUMNS, *JET_AXIS}
        return [*self.required, *dict.fromkeys((*self.optional, *(name for name in OPTIONAL if name not in computed)))]


FORMATS = {
    "nanoaod": RootFormat(
        tree="Events",
        required={
            "pt": "FatJet_pt",
            "eta": "FatJet_eta",
            "phi": "FatJet_phi",
            "candidate_pt": "PFCands_pt",
            "candidate_eta": "PFCands_eta",
            "candidate_phi": "PFCands_phi",
            "candidate_charge": "PFCands_charge",
            "candidate_pdgid": "PFCands_pdgId",
            "candidate_d0": "PFCands_d0",
            "candidate_dz": "PFCands_dz",
            "candidate_index": "FatJetPFCands_pFCandsIdx",
            "candidate_jet": "FatJetPFCands_jetIdx",
        },
        optional={
            "event": "event",
            **{name: name for name in IDENTIFIERS},
            "jet_mass": "FatJet_mass",
            "softdrop_mass": "FatJet_msoftdrop",
            "gen_jet_index": "FatJet_genJetAK8Idx",
            "gen_jet_pt": "GenJetAK8_pt",
            "gen_jet_mass": "GenJetAK8_mass",
            "pileup": "Pileup_nPU",
            "candidate_weight": "PFCands_puppiWeight",
        },
        jets_per_entry=True,
        impact_unit=1,
    ),
    "jetclass": RootFormat(
        tree="tree",
        required={
            "pt": "jet_pt",
            "eta": "jet_eta",
            "phi": "jet_phi",
            "candidate_px": "part_px",
            "candidate_py": "part_py",
            "candidate_pz": "part_pz",
            "candidate_charge": "part_charge",
            "candidate_photon": "part_isPhoton",
            "candidate_electron": "part_isElectron",
            "candidate_muon": "part_isMuon",
            "candidate_d0": "part_d0val",
            "candidate_dz": "part_dzval",
        },
        optional={"softdrop_mass": "jet_sdmass"},
        jets_per_entry=False,
        # Delphes, which made these files, writes mm.
        impact_unit=0.1,
    ),
}
"""Formats of custom NanoAOD (PFNano), and of the JetClass dataset, which weaver reads."""
ROOT_QUANTITIES = sorted({name for about in FORMATS.values() for name in (*about.required, *about.optional)})


def find_branches(
    path: Path, names: list[str], file_format: str, columns: Mapping[str, str], option: str
) -> dict[str, str]:
    """Return the branch of each quantity that a file has.

    Args:
        path: The file, for messages.
        names: Names of all branches.
        file_format: Name of the format in `FORMATS`.
        columns: The user's branches by quantity; they have precedence.
        option: Name of the user's setting for `columns`, for messages.

    Raises:
        BadInput: A required branch or one of the user's branches is missing, or a quantity is unknown.
    """
    about = FORMATS[file_format]
    if unknown := sorted(columns.keys() - {*about.quantities}):
        expected = ", ".join(about.quantities)
        raise BadInput(f"{path}: {option} names {unknown[0]}; expected quantities of {file_format}: {expected}")
    branches = about.required | {name: branch for name, branch in about.optional.items() if branch in names}
    branches |= columns
    missing = {name: branch for name, branch in branches.items() if branch not in names}
    if missing:
        name, branch = next(iter(missing.items()))
        kind = "particle-flow candidates" if name.startswith("candidate_") else "jets"
        fix = f"to fix: use a file with {kind}, or name the branch with {option}"
        raise BadInput(f"{path}: no branch '{branch}' for {name}; expected {kind} of the format {file_format}; {fix}")
    if "gen_jet_index" not in branches:
        branches = {name: branch for name, branch in branches.items() if name not in ("gen_jet_pt", "gen_jet_mass")}
    return branches
