"""Parton-level oracle: the MAE of the top mass from its decay quarks inside the image window.

    python studies/oracle.py [--jets 200000] [--seed 1] [--smearing 0.08 0.02 0 0] [--out results/oracle]

Jets are simulated and flattened in mass as for a dataset of the configuration, with one process per core. With the seed
of the sample they are the jets that networks are trained and tested on. A GBDT is fitted with the MAE as loss; its
inputs are the decay quarks inside the image window of each jet.

The oracle proper uses the quarks of Pythia before radiation; only quarks outside the window are lost. In a real jet,
quarks radiate and hadronise, some hadrons leave the window, and the detector adds noise. The other lines therefore
smear the quarks, remove soft ones and merge close ones, like subjets of that size. They are rough detector models and
no bounds.

The oracle is not a strict bound. Hadrons inside the window from a quark outside it are not used, nor are the other jet
of the event and the pT of the jet. The quark masses identify the b quark, like perfect b-tagging. The MAE of a GBDT
approaches that of the best predictor from above, so the MAE of the oracle decreases slightly with more jets.

The output folder has `oracle.csv` and `oracle.md`, which is printed. The same jets, seed and settings give the same
numbers with any number of processes. `figures.oracle_mae` of the configuration draws the MAE into learning curves.
"""

import argparse
import math
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import repeat
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[1] / "workflow/scripts"))
from partons import Partons, Smearing, concat_partons, parton_features, partons_of_block
from topmass.config.config_sources import read_file
from topmass.config.configuration import REPO_ROOT, configure
from topmass.console import log_info, print_status, stage
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.regions import CONTAINMENT
from topmass.files import BadInput, write_atomically
from topmass.limits import available_cores
from topmass.preprocessing.flattening import bin_edges, flatten, histogram_counts
from topmass.preprocessing.split import SPLITS, assign_split, hash_uniform
from topmass.progress import track
from topmass.report.provenance import commit, processor

SMEARINGS = (
    Smearing(0.00, 0.00, 0, 0.0),
    Smearing(0.08, 0.02, 0, 0.0),
    Smearing(0.12, 0.02, 15, 0.1),
    Smearing(0.15, 0.02, 20, 0.2),
    Smearing(0.20, 0.02, 30, 0.3),
)
"""No smearing (the oracle proper), then detectors from a good one to one that only resolves subjets of ΔR = 0.3."""
SPLIT = {"train": 0.7, "validation": 0.1, "test": 0.2}
"""Fractions of events. The test jets of a dataset with a smaller test fraction are a subset of these."""
REGIONS = ("all", *CONTAINMENT)
ERRORS = {"mae": "MAE, GeV", "mre": "MRE, %"}


def measure_oracle(
    settings: Mapping, dataset: str, jets: int, seed: int, smearings: Sequence[Smearing], workers: int, out: Path
) -> str:
    """Measure the errors of the oracle with each smearing; return the table as Markdown.

    Args:
        settings: The configuration.
        dataset: Dataset whose sample is simulated.
        jets: Number of jets to simulate.
        seed: Seed of simulation and smearing.
        smearings: Smearings of the quarks.
        workers: Number of processes.
        out: Folder of `oracle.csv` and `oracle.md`.

    Raises:
        BadInput: The dataset is unknown or not simulated, there are too few jets, or a number is out of range.
    """
    check_arguments(settings, dataset, jets, seed, smearings, workers)
    dataset_config = settings["datasets"][dataset]
    sample = dataset_config["sample"]
    partons = simulate(settings["samples"][sample], jets, seed, workers)
    partons, split = flatten_jets(partons, sample, dataset_config["flatten"])
    test = partons.take(np.flatnonzero(split == SPLITS.index("test")))
    masses = {smearing: predict(partons, split, smearing, seed, workers) for smearing in smearings}
    scores = score(test, masses, Bootstrap(**settings["evaluate"]["bootstrap"]))
    trained, sizes = np.count_nonzero(split == SPLITS.index("train")), scores["jets"][: len(REGIONS)]
    used = f"{trained:,} trained on, {sizes[0]:,} tested, {sizes[1] / sizes[0]:.1%} contained"
    header = f"{jets:,} jets simulated as for `{dataset}`, seed {seed}: {used}."
    table = f"{header} Commit {commit(REPO_ROOT)}, {processor()}.\n\n{oracle_markdown(scores)}"
    write_atomically(out / "oracle.csv", scores.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_atomically(out / "oracle.md", table)
    return table


def check_arguments(
    settings: Mapping, dataset: str, jets: int, seed: int, smearings: Sequence[Smearing], workers: int
) -> None:
    """Raise BadInput if the oracle cannot be measured with these arguments."""
    if dataset not in settings["datasets"]:
        raise BadInput(f"--dataset {dataset}: no such dataset; expected one of {', '.join(settings['datasets'])}")
    sample = settings["datasets"][dataset]["sample"]
    if "simulate" not in settings["samples"][sample]:
        raise BadInput(f"--dataset {dataset}: sample '{sample}' is from files, so its quarks are unknown")
    for name, value, minimum in (("jets", jets, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < minimum:
            raise BadInput(f"--{name} {value}: must be at least {minimum}")
    for smearing in smearings:
        if not all(math.isfinite(number) and number >= 0 for number in smearing):
            numbers = " ".join(f"{number:g}" for number in smearing)
            raise BadInput(f"--smearing {numbers}: must be four finite numbers, none below 0")


def simulate(sample: Mapping, jets: int, seed: int, workers: int) -> Partons:
    """Simulate `jets` jets in the blocks of the sample, in several processes; return their quarks."""
    size = sample["jets_per_block"]
    sizes = [min(size, jets - first) for first in range(0, jets, size)]
    # No fork: running threads do not survive it.
    with ProcessPoolExecutor(min(workers, len(sizes)), multiprocessing.get_context("spawn")) as pool:
        blocks = pool.map(partons_of_block, range(len(sizes)), sizes, repeat(seed), repeat(sample["simulate"]))
        try:
            return concat_partons(list(track(blocks, "simulate", "block", len(sizes))))
        except BrokenProcessPool:
            raise BadInput(
                "a simulating process was killed, most often because memory ran out; to fix: fewer --workers"
            ) from None


def flatten_jets(partons: Partons, sample: str, flatten_config: Mapping) -> tuple[Partons, np.ndarray]:
    """Flatten the jets with the random draws of the workflow.

    Args:
        partons: Quarks of all jets.
        sample: Name of the sample.
        flatten_config: Settings of the flattening.

    Returns:
        The accepted jets, and the index of their split in `SPLITS` `(N,)`.

    Raises:
        BadInput: A split has fewer than two events.
    """
    split, edges = assign_split(sample, partons.event, SPLIT), bin_edges(flatten_config)
    train = split == SPLITS.index("train")
    flattening = flatten(*edges, histogram_counts(*edges, partons.mass[train], partons.pt[train]))
    draw = hash_uniform(sample, "unbias", partons.event)
    accepted = np.flatnonzero(flattening.accepts(partons.mass, partons.pt, draw))
    for i, name in enumerate(SPLITS):
        if len(np.unique(partons.event[accepted][split[accepted] == i])) < 2:
            raise BadInput(f"--jets {len(train)}: fewer than two events are left in the split '{name}'; take more")
    return partons.take(accepted), split[accepted]


def predict(partons: Partons, split: np.ndarray, smearing: Smearing, seed: int, threads: int) -> np.ndarray:
    """Predict the masses of the test jets (GeV) with a GBDT on the smeared quarks.

    Args:
        partons: Quarks of all jets.
        split: Index of the split of each jet `(N,)`.
        smearing: Smearing of the quarks.
        seed: Seed of the smearing.
        threads: Number of threads.
    """
    from topmass.training.gbdt import fit_booster  # not at the top: each simulating process would import torch

    features = parton_features(partons, smearing, np.random.default_rng(seed))
    train, validation, test = (split == i for i in range(len(SPLITS)))
    samples = ((features[jets], partons.mass[jets], np.ones(jets.sum())) for jets in (train, validation))
    names = [f"feature_{i}" for i in range(features.shape[1])]
    booster = fit_booster(*samples, threads, "trees", names)
    mae = booster.best_score["valid_0"]["l1"]
    log_info(f"{smearing_text(smearing)}: {booster.best_iteration} rounds, validation MAE {mae:.2f} GeV")
    return booster.predict(features[test], num_threads=threads)


def score(test: Partons, masses: Mapping[Smearing, np.ndarray], bootstrap: Bootstrap) -> pd.DataFrame:
    """Return the errors of each prediction with intervals, one row per smearing and region; the MRE is a fraction.

    Args:
        test: Quarks of the N test jets.
        masses: Predicted masses `(N,)` in GeV for each smearing.
        bootstrap: Bootstrap of the intervals.
    """
    inside = test.inside.sum(axis=1)
    contained = [np.flatnonzero((inside >= low) & (inside <= high)) for low, high in CONTAINMENT.values()]
    regions = dict(zip(REGIONS, [np.arange(len(inside)), *contained], strict=True))
    columns = {smearing: (test.mass, predicted) for smearing, predicted in masses.items()}
    scores = bootstrap.score({name: METRICS[name] for name in ERRORS}, columns, [*regions.values()], test.event)
    rows = []
    for smearing in masses:
        for (region, jets), by_smearing in zip(regions.items(), scores, strict=True):
            row = {name: str(number) for name, number in smearing._asdict().items()}
            row |= {"region": region, "jets": len(jets)}
            for name, number in by_smearing[smearing].items():
                value, low, high = number.values() if number else (math.nan, math.nan, math.nan)
                row |= {name: value, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def oracle_markdown(scores: pd.DataFrame) -> str:
    """Return the scores as a Markdown table, one row per smearing."""
    heads = [f"{region}: {title}" for region in REGIONS for title in ERRORS.values()]
    lines = [f"| quarks inside the window | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for smearing, regions in scores.groupby([*Smearing._fields], sort=False):
        cells = [format_score(region, name) for region in regions.to_dict("records") for name in ERRORS]
        lines.append(f"| {smearing_text(Smearing(*map(float, smearing)))} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def smearing_text(smearing: Smearing) -> str:
    """Return a smearing in words."""
    if not any(smearing):
        return "as they are"
    words = f"energies ± {100 * smearing.energy:g} %, directions ± {smearing.direction:g}"
    words += f", none up to {smearing.pt_min:g} GeV" if smearing.pt_min else ""
    return words + (f", one within {smearing.distance:g}" if smearing.distance else "")


def format_score(row: Mapping, name: str) -> str:
    """Return a metric and its interval as text; a dash if undefined."""
    value, low, high = (METRICS[name].factor * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return "–" if math.isnan(value) else f"{value:.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Estimate the best possible MAE, from the quarks in a jet's window.")
    parser.add_argument("--config", type=Path, nargs="*", default=[], help="on top of config.yaml")
    parser.add_argument("--dataset", default="flat", help="dataset whose sample is simulated and flattened")
    parser.add_argument("--jets", type=int, default=200_000, help="number of jets to simulate")
    parser.add_argument("--seed", type=int, default=1, help="seed of simulation and smearing")
    parser.add_argument(
        "--smearing", type=float, nargs=4, action="append", metavar=("ENERGY", "DIRECTION", "PT", "DISTANCE"),
        help="relative; in η and φ; GeV up to which quarks are lost; ΔR within which they merge; may be repeated",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=available_cores())
    parser.add_argument("--out", type=Path, default=Path("results/oracle"))
    args = parser.parse_args()
    with stage("oracle", str(args.out / "log.txt")):
        smearings = [Smearing(*numbers) for numbers in args.smearing] if args.smearing else SMEARINGS
        configuration = configure([read_file(file) for file in args.config])
        print_status(measure_oracle(
            configuration, args.dataset, args.jets, args.seed, smearings, args.workers, args.out
        ))  # fmt: skip
