"""Parton-level oracle: the MAE of the top mass from its decay quarks inside the image window.

    python workflow/scripts/measure_floor.py [--jets 200000] [--seed 1] [--smearing 0.08 0.02 0 0] [--out results/floor]

Jets are simulated and flattened in mass as for a dataset of the configuration, with one process per core. With the seed
of the sample they are the jets that networks are trained and tested on. A GBDT is fitted with the MAE as loss; its
inputs are the decay quarks inside the image window of each jet.

The floor proper uses the quarks of Pythia before radiation; only quarks outside the window are lost. In a real jet,
quarks radiate and hadronise, some hadrons leave the window, and the detector adds noise. The other lines therefore
smear the quarks, remove soft ones and merge close ones, like subjets of that size. They are rough detector models and
no bounds.

The floor is not a strict bound. Hadrons inside the window from a quark outside it are not used, nor are the other jet
of the event and the pT of the jet. The quark masses identify the b quark, like perfect b-tagging. The MAE of a GBDT
approaches that of the best predictor from above, so the floor decreases slightly with more jets.

The output folder has `floor.csv` and `floor.md`, which is printed. The same jets, seed and settings give the same
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

# Python does not search this folder by itself with -I, -P or PYTHONSAFEPATH.
sys.path.append(str(Path(__file__).resolve().parent))
from topmass.config.config_sources import read_file
from topmass.config.configuration import REPO_ROOT, configure
from topmass.console import log_info, print_status, stage
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.regions import CONTAINMENT
from topmass.files import BadInput, atomic_write
from topmass.limits import available_cores
from topmass.preprocessing.flattening import bin_edges, flatten, histogram_counts
from topmass.preprocessing.split import SPLITS, assign_split, hash_uniform
from topmass.progress import track
from topmass.report.oracle_table import REGIONS, Scores, named, oracle_csv, oracle_markdown
from topmass.report.provenance import commit, processor
from topmass.simulation.partons import Partons, Smearing, concat_partons, parton_features, partons_of_block

SMEARINGS = (
    Smearing(0.00, 0.00, 0, 0.0),
    Smearing(0.08, 0.02, 0, 0.0),
    Smearing(0.12, 0.02, 15, 0.1),
    Smearing(0.15, 0.02, 20, 0.2),
    Smearing(0.20, 0.02, 30, 0.3),
)
"""No smearing (the floor proper), then detectors from a good one to one that only resolves subjets of ΔR = 0.3."""
SPLIT = {"train": 0.7, "validation": 0.1, "test": 0.2}
"""Fractions of events. The test jets of a dataset with a smaller test fraction are a subset of these."""


def measure_floor(
    settings: Mapping, dataset: str, jets: int, seed: int, smearings: Sequence[Smearing], workers: int, out: Path
) -> str:
    """Measure the floor under each smearing; return the table as Markdown.

    Args:
        settings: The configuration.
        dataset: Dataset whose sample is simulated.
        jets: Number of jets to simulate.
        seed: Seed of simulation and smearing.
        smearings: Smearings of the quarks.
        workers: Number of processes.
        out: Folder of `floor.csv` and `floor.md`.

    Raises:
        BadInput: The dataset is unknown or not simulated, there are too few jets, or a number is out of range.
    """
    refuse_nonsense(settings, dataset, jets, seed, smearings, workers)
    chosen = settings["datasets"][dataset]
    sample = settings["samples"][chosen["sample"]]
    partons, part = flat(simulate(sample, jets, seed, workers), chosen["sample"], chosen["flatten"])
    test = partons.take(np.flatnonzero(part == SPLITS.index("test")))
    guesses = {str(i): predict(partons, part, each, seed, workers) for i, each in enumerate(smearings)}
    scores, sizes = score(test, guesses, Bootstrap(**settings["evaluate"]["bootstrap"]))
    trained = np.count_nonzero(part == SPLITS.index("train"))
    used = f"{trained:,} trained on, {sizes[0]:,} tested, {sizes[1] / sizes[0]:.1%} contained"
    about = (
        f"{jets:,} jets simulated as for `{dataset}`, seed {seed}: {used}. Commit {commit(REPO_ROOT)}, {processor()}."
    )
    table = oracle_markdown(about, smearings, scores)
    for name, text in {"floor.csv": oracle_csv(smearings, scores, sizes), "floor.md": table}.items():
        with atomic_write(out / name) as written:
            written.write_text(text, encoding="utf-8")
    return table


def refuse_nonsense(
    settings: Mapping, dataset: str, jets: int, seed: int, smearings: Sequence[Smearing], workers: int
) -> None:
    """Raise BadInput if the floor cannot be measured with these arguments."""
    if dataset not in settings["datasets"]:
        raise BadInput(f"there is no dataset '{dataset}'; known are {', '.join(settings['datasets'])}")
    sample = settings["datasets"][dataset]["sample"]
    if "simulate" not in settings["samples"][sample]:
        raise BadInput(f"--dataset {dataset}: sample '{sample}' is not simulated here, and nobody knows its quarks")
    for name, value, least in (("jets", jets, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < least:
            raise BadInput(f"--{name} {value}: must be at least {least}")
    for each in smearings:
        if not all(math.isfinite(number) and number >= 0 for number in each):
            raise BadInput(
                f"--smearing {' '.join(f'{number:g}' for number in each)}: must be four finite numbers, none below 0"
            )


def simulate(sample: Mapping, jets: int, seed: int, workers: int) -> Partons:
    """Simulate `jets` jets in the blocks of the sample, in several processes; return their quarks."""
    size = sample["jets_per_block"]
    sizes = [min(size, jets - first) for first in range(0, jets, size)]
    # No fork: running threads do not survive it.
    with ProcessPoolExecutor(min(workers, len(sizes)), multiprocessing.get_context("spawn")) as pool:
        found = pool.map(partons_of_block, range(len(sizes)), sizes, repeat(seed), repeat(sample["simulate"]))
        try:
            return concat_partons(list(track(found, "simulate", "block", len(sizes))))
        except BrokenProcessPool:
            raise BadInput(
                "a process that simulates was killed, most often for want of memory: fewer --workers"
            ) from None


def flat(partons: Partons, sample: str, flatten_config: Mapping) -> tuple[Partons, np.ndarray]:
    """Flatten the jets with the random draws of the workflow.

    Args:
        partons: Quarks of all jets.
        sample: Name of the sample.
        flatten_config: Settings of the flattening.

    Returns:
        The jets that are kept, and the index of their split in `SPLITS` `(N,)`.

    Raises:
        BadInput: A split has fewer than two events.
    """
    part, edges = assign_split(sample, partons.event, SPLIT), bin_edges(flatten_config)
    train = part == SPLITS.index("train")
    flattening = flatten(*edges, histogram_counts(*edges, partons.mass[train], partons.pt[train]))
    draw = hash_uniform(sample, "unbias", partons.event)
    kept = np.flatnonzero(flattening.accepts(partons.mass, partons.pt, draw))
    for i, name in enumerate(SPLITS):
        if len(np.unique(partons.event[kept][part[kept] == i])) < 2:
            raise BadInput(f"--jets {len(train)}: fewer than two events are left in the split '{name}'; take more")
    return partons.take(kept), part[kept]


def predict(partons: Partons, part: np.ndarray, smearing: Smearing, seed: int, threads: int) -> np.ndarray:
    """Predict the masses of the test jets (GeV) with a GBDT on the smeared quarks.

    Args:
        partons: Quarks of all jets.
        part: Index of the split of each jet `(N,)`.
        smearing: Smearing of the quarks.
        seed: Seed of the smearing.
        threads: Number of threads.
    """
    from topmass.training.gbdt import fit_booster  # not at the top: each simulating process would import torch

    numbers = parton_features(partons, smearing, np.random.default_rng(seed))
    train, validation, test = (part == i for i in range(len(SPLITS)))
    given = ((numbers[jets], partons.mass[jets], np.ones(jets.sum())) for jets in (train, validation))
    trees = fit_booster(*given, threads, "trees")
    log_info(
        f"{named(smearing)}: {trees.best_iteration} rounds, validation MAE {trees.best_score['valid_0']['l1']:.2f} GeV"
    )
    return trees.predict(numbers[test], num_threads=threads)


def score(test: Partons, guesses: Mapping[str, np.ndarray], bootstrap: Bootstrap) -> tuple[list[Scores], list[int]]:
    """Return the scores of each prediction by region and metric, and the number of jets in each region.

    Args:
        test: Quarks of the N test jets.
        guesses: Predicted masses `(N,)` in GeV, by name.
        bootstrap: Bootstrap of the intervals.
    """
    inside = test.inside.sum(axis=1)
    contained = [np.flatnonzero((inside >= low) & (inside <= high)) for low, high in CONTAINMENT.values()]
    regions = [np.arange(len(inside)), *contained]
    columns = {name: (test.mass, guess) for name, guess in guesses.items()}
    found = bootstrap.score({name: METRICS[name] for name in ("mae", "mre")}, columns, regions, test.event)
    scores = [dict(zip(REGIONS, (of_region[name] for of_region in found), strict=True)) for name in guesses]
    return scores, list(map(len, regions))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How well the mass can be known from the quarks in a jet's window.")
    parser.add_argument("--config", type=Path, nargs="*", default=[], help="on top of config.yaml")
    parser.add_argument("--dataset", default="flat", help="whose sample is simulated, and made flat as it is")
    parser.add_argument("--jets", type=int, default=200_000, help="to simulate")
    parser.add_argument("--seed", type=int, default=1, help="of simulation and smearing")
    parser.add_argument(
        "--smearing", type=float, nargs=4, action="append", metavar=("ENERGY", "DIRECTION", "PT", "DISTANCE"),
        help="relative; in η and φ; GeV up to which quarks are lost; ΔR within which they merge; may be given again",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=available_cores())
    parser.add_argument("--out", type=Path, default=Path("results/floor"))
    given = parser.parse_args()
    with stage("measure_floor", str(given.out / "log.txt")):
        asked = [Smearing(*each) for each in given.smearing] if given.smearing else SMEARINGS
        configuration = configure([read_file(file) for file in given.config])
        print_status(measure_floor(
            configuration, given.dataset, given.jets, given.seed, asked, given.workers, given.out
        ))  # fmt: skip
