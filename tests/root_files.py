"""Small ROOT files with candidates, in the forms of custom NanoAOD and of the JetClass dataset."""

from pathlib import Path

import awkward as ak
import numpy as np
import uproot

CODES = np.array([211, -211, 22, 130, 11, 13])
"""PDG codes of charged hadrons, photon, neutral hadron, electron and muon."""


def made_up(events: int = 12, seed: int = 0) -> dict[str, ak.Array]:
    """Branches of events with zero to three jets of 5 to 30 candidates, and candidates outside of jets."""
    rng = np.random.default_rng(seed)
    jets = rng.integers(0, 4, events)
    jets[0] = 2
    eta, phi = rng.uniform(-1.5, 1.5, jets.sum()), rng.uniform(-np.pi, np.pi, jets.sum())
    links = rng.integers(5, 30, jets.sum())
    jet = np.repeat(np.arange(jets.sum()), links)
    number = len(jet)
    code = rng.choice(CODES, number)
    candidate = {
        "pt": 1 + rng.exponential(20, number),
        "eta": eta[jet] + rng.normal(0, 0.2, number),
        "phi": np.angle(np.exp(1j * (phi[jet] + rng.normal(0, 0.2, number)))),
        "pdgId": code,
        "charge": np.where(np.isin(np.abs(code), (211, 11, 13)), np.sign(code), 0),
        "d0": rng.normal(0, 0.1, number),
        "dz": rng.normal(0, 0.1, number),
        "puppiWeight": np.ones(number),
    }
    event = np.repeat(np.arange(events), jets)
    per_event = np.bincount(event[jet], minlength=events)
    index = np.arange(number) - np.repeat(np.cumsum(per_event) - per_event, per_event)
    jet_index = np.arange(jets.sum()) - np.repeat(np.cumsum(jets) - jets, jets)

    def lists(values: dict, counts: np.ndarray) -> ak.Array:
        return ak.zip({name: ak.unflatten(array, counts) for name, array in values.items()})

    # Candidates of no jet follow those of jets.
    others = {name: np.concatenate([array, array[:1]]) for name, array in candidate.items()}
    per_event_and_one = per_event + (np.arange(events) == events - 1)
    return {
        "event": np.arange(events) + 1000,
        "run": np.full(events, 7),
        "Pileup_nPU": rng.integers(20, 40, events),
        "FatJet": lists(
            {
                "pt": rng.uniform(400, 900, jets.sum()), "eta": eta, "phi": phi,
                "mass": rng.uniform(100, 200, jets.sum()), "msoftdrop": rng.uniform(50, 150, jets.sum()),
                "genJetAK8Idx": np.where(jet_index == 0, 0, -1),
            },
            jets,
        ),
        "GenJetAK8": lists({"pt": np.arange(events) + 500.0, "mass": np.arange(events) + 80.0}, np.ones(events, int)),
        "PFCands": lists(others, per_event_and_one),
        "FatJetPFCands": lists({"pFCandsIdx": index, "jetIdx": jet_index[jet]}, per_event),
    }  # fmt: skip


def write_tree(path: Path, branches: dict, tree: str = "Events", pieces: int = 3) -> Path:
    """Write branches as a tree with several baskets per branch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = len(next(iter(branches.values())))
    with uproot.recreate(path) as file:
        types = {name: values.dtype if isinstance(values, np.ndarray) else ak.type(values).content
                 for name, values in branches.items()}  # fmt: skip
        file.mktree(tree, types)
        for part in np.array_split(np.arange(entries), pieces):
            file[tree].extend({name: values[part] for name, values in branches.items()})
    return path


def write_nanoaod(path: Path, branches: dict | None = None) -> Path:
    """Write made-up events as NanoAOD with candidates."""
    return write_tree(path, made_up() if branches is None else branches)


def write_jetclass(path: Path, branches: dict | None = None) -> Path:
    """Write the jets of such events in the form of the JetClass dataset: one entry per jet, mm, no events."""
    events = made_up() if branches is None else branches
    links, candidates = events["FatJetPFCands"], events["PFCands"]
    jet = {name: ak.to_numpy(ak.flatten(events["FatJet"][name])) for name in ("pt", "eta", "phi", "msoftdrop")}
    first = np.cumsum(ak.to_numpy(ak.num(events["FatJet"]))) - ak.to_numpy(ak.num(events["FatJet"]))
    counts = np.bincount(ak.to_numpy(ak.flatten(links.jetIdx + first)), minlength=len(jet["pt"]))
    part = {name: ak.to_numpy(ak.flatten(candidates[links.pFCandsIdx][name])) for name in candidates.fields}
    code = np.abs(part["pdgId"])
    columns = {
        "px": part["pt"] * np.cos(part["phi"]), "py": part["pt"] * np.sin(part["phi"]),
        "pz": part["pt"] * np.sinh(part["eta"]), "charge": part["charge"], "isPhoton": code == 22,
        "isElectron": code == 11, "isMuon": code == 13, "d0val": 10 * part["d0"], "dzval": 10 * part["dz"],
    }  # fmt: skip
    branches = {f"jet_{name}": jet[name] for name in ("pt", "eta", "phi")} | {"jet_sdmass": jet["msoftdrop"]}
    branches["part"] = ak.zip({name: ak.unflatten(values, counts) for name, values in columns.items()})
    return write_tree(path, branches, "tree")
