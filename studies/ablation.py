"""Input ablation: errors of a trained network on perturbed test jets.

    python studies/ablation.py results/train/fast/1/model.safetensors results/shards/all_layers

SHARDS is the folder of the dataset that the network was trained on, with `train`, `validation` and `test` in it. The
network predicts the unchanged test jets and these variants:

- mirrored in η, in φ and in both, which gives equally valid jets;
- the values of each layer moved to random cells of that layer (a cell of the HCAL is a tower);
- without one layer, for each layer.

Mirroring should not change the errors visibly. Shuffled jets keep the number and the values of the hits of each layer;
a network that is hardly worse on them does not use positions. The last line shows the information that remains in
shuffled jets: a GBDT on image moments, fitted to shuffled training jets. The line before is the best constant.

The folder of `--out` has `ablation.csv` and `ablation.md`, which is printed. The same model, jets and seed give the
same numbers on one machine.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "workflow/scripts"))
from perturbations import drop_layer, flip_jets, shuffle_pixels
from topmass.config.configuration import REPO_ROOT, configure
from topmass.console import log_info, print_status, stage
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.metrics import METRICS, Metric, absolute
from topmass.features.feature_registry import MOMENT_FEATURES
from topmass.features.feature_table import build_feature_table
from topmass.files import BadInput, write_atomically
from topmass.layers import ETA, PHI
from topmass.limits import available_cores
from topmass.preprocessing.shards import Shard, ShardMeta, load_shards
from topmass.preprocessing.split import SPLITS
from topmass.progress import Progress, track
from topmass.report.provenance import commit, processor
from topmass.training.gbdt import GBDTBaseline
from topmass.training.inference import Predictor, median_prediction

NOMINAL = "as they are"
SHUFFLED = "shuffled within each layer"
PAIRED = {
    **{name: METRICS[name]._replace(per_jet=lambda mass, predicted, _, of=METRICS[name].per_jet: of(mass, predicted))
       for name in ("mae", "mre")},
    "lost": Metric(
        "ΔMAE to nominal", "GeV",
        lambda mass, predicted, nominal: absolute(mass, predicted) - absolute(mass, nominal),
    ),
}  # fmt: skip
"""Metrics of generated mass, predicted mass, and prediction for the unchanged jets, `(N,)` each, GeV."""
HEADS = {"mae": "MAE, GeV", "mre": "MRE, %", "lost": "ΔMAE to nominal, GeV"}


def measure_ablation(model: Path, shards: Path, seed: int, settings: Mapping, threads: int, out: Path) -> str:
    """Measure the errors on the perturbed test jets; return the table as Markdown.

    Args:
        model: Trained network.
        shards: Folder of the splits of its dataset.
        seed: Seed of the shuffling.
        settings: The section `evaluate` of the configuration: minimum mass in GeV, and bootstrap.
        threads: Number of threads.
        out: Folder of `ablation.csv` and `ablation.md`.

    Raises:
        BadInput: A split has no jets, or the model was trained on other shards.
    """
    torch.set_num_threads(threads)
    predictor, rng = Predictor(model, "auto", "auto"), np.random.default_rng(seed)
    files = {split: sorted((shards / split).glob("*.npz")) for split in SPLITS}
    for split, paths in files.items():
        if not paths:
            raise BadInput(f"{shards / split}: no shards; SHARDS is a folder with {', '.join(SPLITS)} in it")
    test = Shard.join(list(load_split(files["test"], predictor.model.shards)))
    test = test.take(np.flatnonzero(test.arrays["mass"] > settings["min_mass"]))
    if len(np.unique(test.arrays["event"])) < 2:
        raise BadInput(f"{shards / 'test'}: fewer than two events")
    variants = dict(perturbed(test, rng))
    with Progress("predict", len(variants) * len(test)) as progress:
        masses = {name: median_prediction(predictor.masses(jets, progress.update)) for name, jets in variants.items()}
    mass = test.arrays["mass"]
    masses["best constant for the MAE"] = np.full_like(mass, np.median(mass))
    masses["trees fitted to shuffled jets"] = predict_with_gbdt(files, variants[SHUFFLED], rng, threads)
    scores = score(test, masses, Bootstrap(**settings["bootstrap"]))
    header = f"{model}: {len(test):,} test jets of {shards}, seed {seed}. Commit {commit(REPO_ROOT)}, {processor()}."
    table = f"{header}\n\n{ablation_markdown(scores)}"
    write_atomically(out / "ablation.csv", scores.to_csv(float_format="%.6g", lineterminator="\n"))
    write_atomically(out / "ablation.md", table)
    return table


def load_split(paths: list[Path], meta: ShardMeta) -> Iterator[Shard]:
    """Load the non-empty shards of a split."""
    return load_shards(paths, meta.statistics, meta)


def perturbed(jets: Shard, rng: np.random.Generator) -> Iterator[tuple[str, Shard]]:
    """Yield name and jets of each variant."""
    yield NOMINAL, jets
    for name, flips in {"η": ETA, "φ": PHI, "η and φ": ETA | PHI}.items():
        yield f"mirrored in {name}", flip_jets(jets, flips)
    yield SHUFFLED, shuffle_pixels(jets, rng)
    for layer in jets.meta.layers:
        yield f"without {layer}", drop_layer(jets, layer)


def predict_with_gbdt(
    files: Mapping[str, list[Path]], test: Shard, rng: np.random.Generator, threads: int
) -> np.ndarray:
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
        shuffled = (shuffle_pixels(jets, rng) for jets in load_split(paths, test.meta))
        tables[split] = build_feature_table(shuffled, with_subjets=False)
    gbdt = GBDTBaseline.fit(tables["train"], tables["validation"], MOMENT_FEATURES, threads, "trees")
    inputs = f"{len(gbdt.features)} features of {len(tables['train']):,} shuffled jets"
    log_info(f"trees: {inputs}, {gbdt.booster.best_iteration} rounds, validation MAE {gbdt.error:.2f} GeV")
    return gbdt.predict(build_feature_table([test], with_subjets=False))


def score(test: Shard, masses: Mapping[str, np.ndarray], bootstrap: Bootstrap) -> pd.DataFrame:
    """Return the metrics of `PAIRED` with intervals, one row per variant; the MRE is a fraction.

    Args:
        test: Unchanged test jets.
        masses: Predicted masses `(N,)` in GeV by variant.
        bootstrap: Bootstrap of the intervals.
    """
    mass, nominal = test.arrays["mass"], masses[NOMINAL]
    columns = {name: (mass, predicted, nominal) for name, predicted in masses.items()}
    (scores,) = bootstrap.score(PAIRED, columns, [np.arange(len(test))], test.arrays["event"])
    ends = {"value": "", "low": "_low", "high": "_high"}
    rows = {
        variant: {f"{name}{ends[end]}": value for name, number in by_metric.items() for end, value in number.items()}
        for variant, by_metric in scores.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("jets")


def ablation_markdown(scores: pd.DataFrame) -> str:
    """Return the scores as a Markdown table."""
    lines = [f"| jets | {' | '.join(HEADS.values())} |", f"|---|{'--:|' * len(HEADS)}"]
    for variant, row in scores.iterrows():
        cells = []
        for name in HEADS:
            sign, factor = "+" if name == "lost" else "", PAIRED[name].factor
            value, low, high = (f"{factor * row[f'{name}{end}']:{sign}.2f}" for end in ("", "_low", "_high"))
            cells.append(f"{value} [{low}, {high}]")
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the errors of a trained network on perturbed test jets.")
    parser.add_argument("model", metavar="MODEL", type=Path, help="model.safetensors of a training")
    parser.add_argument("shards", metavar="SHARDS", type=Path, help="folder of its dataset's shards")
    parser.add_argument("--seed", type=int, default=1, help="seed of the shuffling")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--out", type=Path, default=Path("results/ablation"))
    args = parser.parse_args()
    with stage("ablation", str(args.out / "log.txt")):
        evaluate = configure([])["evaluate"]
        print_status(measure_ablation(args.model, args.shards, args.seed, evaluate, args.threads, args.out))
