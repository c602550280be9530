"""GBDT baselines: fit to the training jets, predictions for the test jets."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from topmass.console import log_info, stage
from topmass.evaluation.predictions import TRUTH_COLUMNS, Predictions
from topmass.features.feature_registry import JET_FEATURES, MOMENT_FEATURES, SUBJET_FEATURES
from topmass.features.feature_table import FeatureTable, build_feature_table
from topmass.files import file_digest
from topmass.limits import available_cores
from topmass.preprocessing.shards import load_shards
from topmass.preprocessing.split import SPLITS
from topmass.progress import track
from topmass.training.gbdt import GBDTBaseline

KINDS = {
    "trees_jet": JET_FEATURES,
    "trees_image": MOMENT_FEATURES + JET_FEATURES,
    "trees_subjets": MOMENT_FEATURES + SUBJET_FEATURES + JET_FEATURES,
}


def train_gbdt(
    shards: Mapping[str, Sequence[Path]],
    statistics: Path,
    predictions: Mapping[str, Path],
    models: Mapping[str, Path],
    threads: int,
) -> None:
    """Write GBDTs and their predictions for the shards of "test", in their order.

    The inputs of "trees_jet" are jet features without the image, "trees_image" adds image moments, and "trees_subjets"
    also adds subjet features. GBDTs are fitted to "train" with the best number of rounds on "validation". Features
    that the jets lack are omitted and logged. The same shards give the same bytes, independently of the number of
    threads and of the other kinds.

    Args:
        shards: Shards by split.
        statistics: Statistics of the dataset.
        predictions: Predictions to write for each kind of `KINDS` that is fitted.
        models: Text file of LightGBM to write for each of these kinds.
        threads: Number of threads.
    """
    torch.set_num_threads(threads)
    tables: dict[str, FeatureTable] = {}
    for split in SPLITS:
        paths = track(shards[split], f"features of {split} jets", "shard")
        expected = tables["train"].meta if tables else None
        tables[split] = build_feature_table(
            load_shards(paths, file_digest(statistics), expected), "trees_subjets" in predictions
        )
    for name, features in KINDS.items():
        if name not in predictions:
            continue
        gbdt = GBDTBaseline.fit(tables["train"], tables["validation"], features, threads, name)
        inputs = f"{len(gbdt.features)} features of {len(tables['train']):,} jets"
        log_info(f"{name}: {inputs}, {gbdt.booster.best_iteration} rounds, validation MAE {gbdt.error:.2f} GeV")
        if missing := [feature.name for feature in features if feature not in gbdt.features]:
            log_info(f"{name}: without {', '.join(missing)}, which these jets do not have")
        truth = {column: tables["test"].jet_arrays[column] for column in TRUTH_COLUMNS}
        Predictions(predicted=gbdt.predict(tables["test"]), **truth).save(predictions[name])
        gbdt.save(models[name])


if __name__ == "__main__":
    with stage("train_gbdt", snakemake.log[0]):
        outputs = {name: Path(path) for name, path in snakemake.output.items()}
        train_gbdt(
            {split: [Path(path) for path in snakemake.input[split]] for split in SPLITS},
            Path(snakemake.input.statistics),
            {name: outputs[name] for name in KINDS if name in outputs},
            {name: outputs[f"{name}_model"] for name in KINDS if name in outputs},
            min(snakemake.threads, available_cores()),
        )
