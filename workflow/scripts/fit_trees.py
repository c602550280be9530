"""Fit boosted trees to the training jets, and predict the masses of the test jets with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from topmass.console import say, stage
from topmass.learning.kinematics.quantities import JET, SUBJETS, SUMS
from topmass.learning.kinematics.table import Table, tabulate
from topmass.learning.trees import Trees
from topmass.preprocessing.shards import load_shards
from topmass.preprocessing.split import SPLITS
from topmass.preprocessing.statistics import digest_of
from topmass.scoring.predictions import KNOWN, Predictions

KINDS = {"trees_jet": JET, "trees_image": SUMS + JET, "trees_subjets": SUMS + SUBJETS + JET}


def fit_trees(
    shards: Mapping[str, Sequence[Path]], statistics: Path, predictions: Mapping[str, Path], threads: int
) -> None:
    """Write what trees predict for the shards of "test", in their order, for each kind that there is a file for.

    "trees_jet" know of a jet what is known without its image, "trees_image" sums over the image as well, and
    "trees_subjets" its subjets too. They are fitted to "train", with the number of rounds that is best for
    "validation". Numbers that the jets do not have are left out, and named. The same shards give the same bytes, with
    any number of threads, and whatever other kinds are fitted.
    """
    torch.set_num_threads(threads)
    tables: dict[str, Table] = {}
    for split in SPLITS:
        paths = tqdm(shards[split], f"numbers of {split} jets", unit="shard", leave=False, disable=None)
        expected = tables["train"].meta if tables else None
        tables[split] = tabulate(load_shards(paths, digest_of(statistics), expected), "trees_subjets" in predictions)
    for name, quantities in KINDS.items():
        if name not in predictions:
            continue
        with tqdm(desc=name, unit="round", leave=False, disable=None) as rounds:
            trees = Trees.fit(tables["train"], tables["validation"], quantities, threads, rounds.update)
        taken = f"{len(trees.quantities)} numbers of {len(tables['train']):,} jets"
        say(f"{name}: {taken}, {trees.booster.best_iteration} rounds, validation MAE {trees.error:.2f} GeV")
        if missing := [each.name for each in quantities if each not in trees.quantities]:
            say(f"{name}: without {', '.join(missing)}, which these jets do not have")
        known = {each: tables["test"].known[each] for each in KNOWN}
        Predictions(predicted=trees.predict(tables["test"]), **known).save(predictions[name])


if __name__ == "__main__":
    with stage("baselines", snakemake.log[0]):
        fit_trees(
            {split: [Path(path) for path in snakemake.input[split]] for split in SPLITS},
            Path(snakemake.input.statistics),
            {name: Path(path) for name, path in snakemake.output.items()},
            snakemake.threads,
        )
