"""Shortcut tests: errors of a trained network on perturbed test jets.

    python workflow/scripts/measure_shortcuts.py results/train/fast/1/model.safetensors results/shards/all_layers

SHARDS is the folder of the dataset that the network was trained on, with `train`, `validation` and `test` in it. The
network predicts the unchanged test jets and these variants:

- mirrored in η, in φ and in both, which gives equally valid jets;
- the values of each layer moved to random cells of that layer (a cell of the HCAL is a tower);
- without one layer, for each layer.

Mirroring should not change the errors visibly. Shuffled jets keep the number and the values of the hits of each layer;
a network that is hardly worse on them does not use positions. The last line shows the information that remains in
shuffled jets: a GBDT on image moments, fitted to shuffled training jets. The line before is the best constant.

The folder of `--out` has `shortcuts.csv` and `shortcuts.md`, which is printed. The same model, jets and seed give the
same numbers on one machine.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

# Python does not search this folder by itself with -I, -P or PYTHONSAFEPATH.
sys.path.append(str(Path(__file__).resolve().parent))
from topmass.config.configuration import REPO_ROOT, configure
from topmass.console import log_info, print_status, stage
from topmass.data.augmentation import ETA, PHI
from topmass.data.perturbations import drop_layer, flip_jets, shuffle_pixels
from topmass.evaluation.bootstrap import Bootstrap, IntervalDict
from topmass.evaluation.metrics import METRICS, Metric, absolute
from topmass.features.feature_registry import MOMENT_FEATURES
from topmass.features.feature_table import build_feature_table
from topmass.files import BadInput, atomic_write
from topmass.limits import available_cores
from topmass.preprocessing.shards import Shard, ShardMeta, load_shards
from topmass.preprocessing.split import SPLITS
from topmass.progress import Progress, track
from topmass.report.ablation_table import ablation_csv, ablation_markdown
from topmass.report.provenance import commit, processor
from topmass.training.gbdt import GBDTBaseline
from topmass.training.inference import Predictor
from topmass.training.validation import median_prediction

AS_THEY_ARE = "as they are"
SHUFFLED = "shuffled within each layer"
PAIRED = {
    **{name: METRICS[name]._replace(of=lambda mass, predicted, _, of=METRICS[name].of: of(mass, predicted))
       for name in ("mae", "mre")},
    "lost": Metric(
        "ΔMAE to nominal", "GeV",
        lambda mass, predicted, plain: absolute(mass, predicted) - absolute(mass, plain),
    ),
}  # fmt: skip
"""Metrics of generated mass, predicted mass, and prediction for the unchanged jets, `(N,)` each, GeV."""


def measure_shortcuts(model: Path, shards: Path, seed: int, settings: Mapping, threads: int, out: Path) -> str:
    """Measure the errors on the perturbed test jets; return the table as Markdown.

    Args:
        model: Trained network.
        shards: Folder of the splits of its dataset.
        seed: Seed of the shuffling.
        settings: The section `evaluate` of the configuration: minimum mass in GeV, and bootstrap.
        threads: Number of threads.
        out: Folder of `shortcuts.csv` and `shortcuts.md`.

    Raises:
        BadInput: A split has no jets, or the model was trained on other shards.
    """
    torch.set_num_threads(threads)
    predictor, rng = Predictor(model, "auto", "auto"), np.random.default_rng(seed)
    files = {split: sorted((shards / split).glob("*.npz")) for split in SPLITS}
    for split, paths in files.items():
        if not paths:
            raise BadInput(f"{shards / split}: no shards; SHARDS is a folder with {', '.join(SPLITS)} in it")
    test = Shard.join(list(jets_of(files["test"], predictor.model.shards)))
    test = test.take(np.flatnonzero(test.arrays["mass"] > settings["min_mass"]))
    if len(np.unique(test.arrays["event"])) < 2:
        raise BadInput(f"{shards / 'test'}: fewer than two events")
    variants = dict(changed(test, rng))
    with Progress("predict", len(variants) * len(test)) as progress:
        masses = {name: median_prediction(predictor.masses(jets, progress.update)) for name, jets in variants.items()}
    mass = test.arrays["mass"]
    masses["best constant for the MAE"] = np.full_like(mass, np.median(mass))
    masses["trees fitted to shuffled jets"] = by_trees(files, variants[SHUFFLED], rng, threads)
    about = f"{model}: {len(test):,} test jets of {shards}, seed {seed}. Commit {commit(REPO_ROOT)}, {processor()}."
    scores = score(test, masses, Bootstrap(**settings["bootstrap"]))
    table = ablation_markdown(about, scores)
    for name, text in {"shortcuts.csv": ablation_csv(scores), "shortcuts.md": table}.items():
        with atomic_write(out / name) as written:
            written.write_text(text, encoding="utf-8")
    return table


def jets_of(paths: list[Path], meta: ShardMeta) -> Iterator[Shard]:
    """Load the non-empty shards of a split."""
    return load_shards(paths, meta.statistics, meta)


def changed(jets: Shard, rng: np.random.Generator) -> Iterator[tuple[str, Shard]]:
    """Yield name and jets of each variant."""
    yield AS_THEY_ARE, jets
    for name, flips in {"η": ETA, "φ": PHI, "η and φ": ETA | PHI}.items():
        yield f"mirrored in {name}", flip_jets(jets, flips)
    yield SHUFFLED, shuffle_pixels(jets, rng)
    for layer in jets.meta.layers:
        yield f"without {layer}", drop_layer(jets, layer)


def by_trees(files: Mapping[str, list[Path]], test: Shard, rng: np.random.Generator, threads: int) -> np.ndarray:
    """Predict the masses `(N,)` of shuffled test jets, GeV, with a GBDT fitted to shuffled training jets.

    Args:
        files: Shards by split.
        test: Shuffled test jets.
        rng: Random generator of the shuffling.
        threads: Number of threads.
    """
    tables = {}
    for split in ("train", "validation"):
        paths = track(files[split], f"shuffle {split} jets", "shard")
        tables[split] = build_feature_table(
            (shuffle_pixels(jets, rng) for jets in jets_of(paths, test.meta)), with_subjets=False
        )
    trees = GBDTBaseline.fit(tables["train"], tables["validation"], MOMENT_FEATURES, threads, "trees")
    taken = f"{len(trees.features)} sums over {len(tables['train']):,} shuffled jets"
    log_info(f"trees: {taken}, {trees.booster.best_iteration} rounds, validation MAE {trees.error:.2f} GeV")
    return trees.predict(build_feature_table([test], with_subjets=False))


def score(test: Shard, masses: Mapping[str, np.ndarray], bootstrap: Bootstrap) -> dict[str, dict[str, IntervalDict]]:
    """Return the metrics of `PAIRED` by variant, for predicted masses `(N,)` in GeV."""
    mass, plain = test.arrays["mass"], masses[AS_THEY_ARE]
    columns = {name: (mass, guess, plain) for name, guess in masses.items()}
    return bootstrap.score(PAIRED, columns, [np.arange(len(test))], test.arrays["event"])[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Whether a trained network has learned jets, or a shortcut.")
    parser.add_argument("model", metavar="MODEL", type=Path, help="model.safetensors of a training")
    parser.add_argument("shards", metavar="SHARDS", type=Path, help="folder of its dataset's shards")
    parser.add_argument("--seed", type=int, default=1, help="of the shuffling")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--out", type=Path, default=Path("results/shortcuts"))
    given = parser.parse_args()
    with stage("measure_shortcuts", str(given.out / "log.txt")):
        evaluate = configure([])["evaluate"]
        print_status(measure_shortcuts(given.model, given.shards, given.seed, evaluate, given.threads, given.out))
