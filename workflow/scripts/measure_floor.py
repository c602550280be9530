"""How well the mass of the top can be known at all: from its three quarks, as far as the window of a jet holds them.

    python workflow/scripts/measure_floor.py [--jets 200000] [--seed 1] [--smearing 0.08 0.02 0 0] [--out results/floor]

Jets are simulated as for a dataset of the configuration, by as many processes as there are cores, and made flat in mass
as there; with the seed of its sample they are the very jets that networks are trained and tested on. Of each, boosted
trees are given the quarks of its top that are inside the window of its image, and fitted for the least MAE.

The floor proper is that of quarks as Pythia has them, before they radiate. What is lost for good there is what lies
outside the window. No jet shows its quarks like that: quarks radiate and become hadrons, some of which leave the
window, and a detector sees these with noise. So the other lines smear the quarks, lose soft ones and merge close ones,
after what subjets of that size would tell; they are guesses of a detector, and no bound.

What it is not: hadrons of a quark outside the window that lie inside tell of it, and are not used here; nor are the
other jet of the event, or the pT of this one. The masses of quarks tell which is the b, as perfect b-tagging would.
Trees reach the best predictor from above: with more jets the floor sinks a little.

The folder has `floor.csv`, and `floor.md`, which is printed. The same jets, seed and settings give the same numbers,
with any number of processes. Its MAE can be drawn into learning curves: `figures.floor` of the configuration.
"""

import argparse
import math
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import repeat
from pathlib import Path

import numpy as np
from tqdm import tqdm

from topmass.console import say, show, stage
from topmass.files import BadInput, whole
from topmass.preprocessing.split import SPLITS, split_of, uniform
from topmass.preprocessing.unbias import count, edges_of, flatten
from topmass.reporting.floor import REGIONS, Scores, as_csv, as_markdown, named
from topmass.reporting.provenance import commit, processor
from topmass.scoring.bootstrap import Bootstrap
from topmass.scoring.metrics import METRICS
from topmass.scoring.regions import CONTAINMENT
from topmass.simulation.partons import Partons, Smearing, join, numbers_of, partons_of_block
from topmass.workflow.configuration import HOUSE, configure
from topmass.workflow.reading import read_file

SMEARINGS = (
    Smearing(0.00, 0.00, 0, 0.0),
    Smearing(0.08, 0.02, 0, 0.0),
    Smearing(0.12, 0.02, 15, 0.1),
    Smearing(0.15, 0.02, 20, 0.2),
    Smearing(0.20, 0.02, 30, 0.3),
)
"""The floor proper, and detectors from a good one to one that tells little more than subjets of 0.3."""
SPLIT = {"train": 0.7, "validation": 0.1, "test": 0.2}
"""Of the events. The test jets of a dataset that keeps a smaller share for the test are among these."""


def measure_floor(
    settings: Mapping, dataset: str, jets: int, seed: int, smearings: Sequence[Smearing], workers: int, out: Path
) -> str:
    """Measure the floor under each smearing on so many jets, write both tables to `out`, and return the second.

    BadInput if the dataset is unknown or its jets are not simulated here, if there are too few jets, or if a number
    cannot be used.
    """
    refuse_nonsense(settings, dataset, jets, seed, smearings, workers)
    chosen = settings["datasets"][dataset]
    sample = settings["samples"][chosen["sample"]]
    partons, part = flat(simulate(sample, jets, seed, workers), chosen["sample"], chosen["unbias"])
    test = partons.take(np.flatnonzero(part == SPLITS.index("test")))
    guesses = {str(i): predict(partons, part, each, seed, workers) for i, each in enumerate(smearings)}
    scores, sizes = score(test, guesses, Bootstrap(**settings["evaluate"]["bootstrap"]))
    trained = np.count_nonzero(part == SPLITS.index("train"))
    used = f"{trained:,} trained on, {sizes[0]:,} tested, {sizes[1] / sizes[0]:.1%} contained"
    about = f"{jets:,} jets simulated as for `{dataset}`, seed {seed}: {used}. Commit {commit(HOUSE)}, {processor()}."
    table = as_markdown(about, smearings, scores)
    for name, text in {"floor.csv": as_csv(smearings, scores, sizes), "floor.md": table}.items():
        with whole(out / name) as written:
            written.write_text(text, encoding="utf-8")
    return table


def refuse_nonsense(
    settings: Mapping, dataset: str, jets: int, seed: int, smearings: Sequence[Smearing], workers: int
) -> None:
    """BadInput if the floor cannot be measured with these."""
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
    """The quarks of so many jets, block by block as the sample has them, in several processes."""
    size = sample["jets_per_block"]
    sizes = [min(size, jets - first) for first in range(0, jets, size)]
    made_of = (repeat(sample["simulate"][name]) for name in ("generator", "detector", "selection"))
    # Not a fork: threads that run already do not survive it.
    with ProcessPoolExecutor(min(workers, len(sizes)), multiprocessing.get_context("spawn")) as pool:
        found = pool.map(partons_of_block, range(len(sizes)), sizes, repeat(seed), *made_of)
        try:
            return join(list(tqdm(found, "simulate", len(sizes), unit="block", leave=False, disable=None)))
        except BrokenProcessPool:
            raise BadInput(
                "a process that simulates was killed, most often for want of memory: fewer --workers"
            ) from None


def flat(partons: Partons, sample: str, unbias: Mapping) -> tuple[Partons, np.ndarray]:
    """The jets that unbiasing keeps, and the split of each, (N,) into SPLITS; the draws are those of the workflow."""
    part, edges = split_of(sample, partons.event, SPLIT), edges_of(unbias)
    train = part == SPLITS.index("train")
    flattening = flatten(*edges, count(*edges, partons.mass[train], partons.pt[train]))
    draw = uniform(sample, "unbias", partons.event)
    kept = np.flatnonzero(flattening.keeps(partons.mass, partons.pt, draw))
    for i, name in enumerate(SPLITS):
        if len(np.unique(partons.event[kept][part[kept] == i])) < 2:
            raise BadInput(f"--jets {len(train)}: fewer than two events are left in the split '{name}'; take more")
    return partons.take(kept), part[kept]


def predict(partons: Partons, part: np.ndarray, smearing: Smearing, seed: int, threads: int) -> np.ndarray:
    """Masses of the test jets, GeV, by trees that see the quarks like that."""
    from topmass.learning.trees import boost  # not at the top: torch, which each process that simulates would load

    numbers = numbers_of(partons, smearing, np.random.default_rng(seed))
    train, validation, test = (part == i for i in range(len(SPLITS)))
    given = ((numbers[jets], partons.mass[jets], np.ones(jets.sum())) for jets in (train, validation))
    with tqdm(desc="trees", unit="round", leave=False, disable=None) as rounds:
        trees = boost(*given, threads, rounds.update)
    say(f"{named(smearing)}: {trees.best_iteration} rounds, validation MAE {trees.best_score['valid_0']['l1']:.2f} GeV")
    return trees.predict(numbers[test], num_threads=threads)


def score(test: Partons, guesses: Mapping[str, np.ndarray], bootstrap: Bootstrap) -> tuple[list[Scores], list[int]]:
    """The scores of each guess (N,) GeV by region and metric, and the number of jets in each region."""
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
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=Path("results/floor"))
    given = parser.parse_args()
    with stage("measure_floor", str(given.out / "log.txt")):
        asked = [Smearing(*each) for each in given.smearing] if given.smearing else SMEARINGS
        configuration = configure([read_file(file) for file in given.config])
        show(measure_floor(
            configuration, given.dataset, given.jets, given.seed, asked, given.workers, given.out
        ))  # fmt: skip
