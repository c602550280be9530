"""Whether a trained network has learned jets, or a shortcut: what it loses with something taken from its test jets.

    python workflow/scripts/measure_shortcuts.py results/train/fast/1/model.safetensors results/shards/all_layers

SHARDS is the folder of the dataset that the network was trained on, with `train`, `validation` and `test` in it. The
test jets are predicted as they are; mirrored in η, in φ and in both, which makes jets as good as they were; with the
values of each layer in random cells of that layer (a cell of the HCAL is a tower); and with each layer empty.

A mirror image should cost nothing that can be seen. Shuffled jets keep how many values a layer has, and which, so that
a network which is hardly worse with them has not looked at where they are. What can be had from them at all is in the
last line: boosted trees on sums over the image, fitted to shuffled training jets. The line before is the best constant.

The folder of `--out` has `shortcuts.csv`, and `shortcuts.md`, which is printed. The same model, jets and seed give the
same numbers on one machine.
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from topmass.console import say, show, stage
from topmass.files import BadInput, whole
from topmass.learning.feeding.augmentation import ETA, PHI
from topmass.learning.feeding.shortcuts import mirrored, shuffled, without
from topmass.learning.kinematics.quantities import SUMS
from topmass.learning.kinematics.table import tabulate
from topmass.learning.training.prediction import Predictor
from topmass.learning.training.validation import middle
from topmass.learning.trees import Trees
from topmass.preprocessing.shards import Shard, ShardMeta, load_shards
from topmass.preprocessing.split import SPLITS
from topmass.reporting.provenance import commit, processor
from topmass.reporting.shortcuts import as_csv, as_markdown
from topmass.scoring.bootstrap import Bootstrap, Number
from topmass.scoring.metrics import METRICS, Metric, absolute
from topmass.workflow.configuration import HOUSE, configure

AS_THEY_ARE = "as they are"
SHUFFLED = "shuffled within each layer"
PAIRED = {
    **{name: METRICS[name]._replace(of=lambda mass, predicted, _, of=METRICS[name].of: of(mass, predicted))
       for name in ("mae", "mre")},
    "lost": Metric(
        "mean absolute error less that as they are", "GeV",
        lambda mass, predicted, plain: absolute(mass, predicted) - absolute(mass, plain),
    ),
}  # fmt: skip
"""Metrics of generated mass, predicted mass, and what is predicted for the jets as they are, (N,) GeV each."""


def measure_shortcuts(model: Path, shards: Path, seed: int, settings: Mapping, threads: int, out: Path) -> str:
    """Measure what the model makes of its test jets, write both tables to `out`, and return the second.

    `settings` are those of "evaluate": the cut on the mass, in GeV, and the bootstrap. BadInput if one of the splits
    has no jet, or if the model takes other shards.
    """
    torch.set_num_threads(threads)
    predictor, rng = Predictor(model, "auto", "auto"), np.random.default_rng(seed)
    files = {split: sorted((shards / split).glob("*.npz")) for split in SPLITS}
    for split, paths in files.items():
        if not paths:
            raise BadInput(f"{shards / split}: no shards; SHARDS is a folder with {', '.join(SPLITS)} in it")
    test = Shard.join(list(jets_of(files["test"], predictor.model.shards)))
    test = test.take(np.flatnonzero(test.arrays["mass"] > settings["mass_above"]))
    if len(np.unique(test.arrays["event"])) < 2:
        raise BadInput(f"{shards / 'test'}: fewer than two events")
    variants = dict(changed(test, rng))
    masses = {
        name: middle(predictor.masses(jets))
        for name, jets in tqdm(variants.items(), "predict", leave=False, disable=None)
    }
    mass = test.arrays["mass"]
    masses["best constant for the MAE"] = np.full_like(mass, np.median(mass))
    masses["trees fitted to shuffled jets"] = by_trees(files, variants[SHUFFLED], rng, threads)
    about = f"{model}: {len(test):,} test jets of {shards}, seed {seed}. Commit {commit(HOUSE)}, {processor()}."
    scores = score(test, masses, Bootstrap(**settings["bootstrap"]))
    table = as_markdown(about, scores)
    for name, text in {"shortcuts.csv": as_csv(scores), "shortcuts.md": table}.items():
        with whole(out / name) as written:
            written.write_text(text, encoding="utf-8")
    return table


def jets_of(paths: list[Path], meta: ShardMeta) -> Iterator[Shard]:
    """The shards of a split that hold a jet."""
    return load_shards(paths, meta.statistics, meta)


def changed(jets: Shard, rng: np.random.Generator) -> Iterator[tuple[str, Shard]]:
    """The jets by what was done to them."""
    yield AS_THEY_ARE, jets
    for name, flips in {"η": ETA, "φ": PHI, "η and φ": ETA | PHI}.items():
        yield f"mirrored in {name}", mirrored(jets, flips)
    yield SHUFFLED, shuffled(jets, rng)
    for layer in jets.meta.layers:
        yield f"without {layer}", without(jets, layer)


def by_trees(files: Mapping[str, list[Path]], test: Shard, rng: np.random.Generator, threads: int) -> np.ndarray:
    """Masses (N,) GeV of shuffled test jets by trees on sums over the image, fitted to shuffled training jets."""
    tables = {}
    for split in ("train", "validation"):
        paths = tqdm(files[split], f"shuffle {split} jets", unit="shard", leave=False, disable=None)
        tables[split] = tabulate((shuffled(jets, rng) for jets in jets_of(paths, test.meta)), with_subjets=False)
    with tqdm(desc="trees", unit="round", leave=False, disable=None) as rounds:
        trees = Trees.fit(tables["train"], tables["validation"], SUMS, threads, rounds.update)
    taken = f"{len(trees.quantities)} sums over {len(tables['train']):,} shuffled jets"
    say(f"trees: {taken}, {trees.booster.best_iteration} rounds, validation MAE {trees.error:.2f} GeV")
    return trees.predict(tabulate([test], with_subjets=False))


def score(test: Shard, masses: Mapping[str, np.ndarray], bootstrap: Bootstrap) -> dict[str, dict[str, Number]]:
    """The metrics of PAIRED of each guess (N,) GeV."""
    mass, plain = test.arrays["mass"], masses[AS_THEY_ARE]
    columns = {name: (mass, guess, plain) for name, guess in masses.items()}
    return bootstrap.score(PAIRED, columns, [np.arange(len(test))], test.arrays["event"])[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Whether a trained network has learned jets, or a shortcut.")
    parser.add_argument("model", metavar="MODEL", type=Path, help="model.safetensors of a training")
    parser.add_argument("shards", metavar="SHARDS", type=Path, help="folder of its dataset's shards")
    parser.add_argument("--seed", type=int, default=1, help="of the shuffling")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=Path("results/shortcuts"))
    given = parser.parse_args()
    with stage("measure_shortcuts", str(given.out / "log.txt")):
        evaluate = configure([])["evaluate"]
        show(measure_shortcuts(given.model, given.shards, given.seed, evaluate, given.threads, given.out))
