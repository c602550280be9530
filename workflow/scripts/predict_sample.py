"""Prediction of the masses of a sample that no network was trained on, with a trained network and GBDTs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from topmass.commands.predict_jets import predict_jets
from topmass.console import log_info, stage
from topmass.evaluation.inference_output import WRITE_OPTIONS
from topmass.features.feature_table import build_feature_table
from topmass.files import BadInput, atomic_write, file_digest
from topmass.io.columns import COMMAND_LINE_OPTIONS
from topmass.jets import JetTable
from topmass.limits import available_cores
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shard_builder import ShardBuilder
from topmass.preprocessing.shards import ShardMeta
from topmass.progress import Progress
from topmass.training.gbdt import GBDTBaseline

COLUMNS = {"trees_image": "gbdt", "trees_subjets": "gbdt_subjets"}
"""Column of each kind of GBDT that is applied."""
SETTINGS = COMMAND_LINE_OPTIONS | {"device": "compute.device"}
"""Names of the settings in messages."""


def predict_sample(
    model: Path,
    gbdts: Mapping[str, Path],
    tables: Sequence[Path],
    predictions: Path,
    device: str,
    precision: str,
    threads: int,
) -> None:
    """Write all columns of jet tables with one value per jet, with the predictions of a network and of GBDTs.

    The columns of the network are those of `predict_jets`; the metadata of the file has the digest of its model.

    Args:
        model: Trained network.
        gbdts: GBDTs of the same training jets, by column.
        tables: Jet tables of the sample.
        predictions: Parquet file to write.
        device: Device, as for `Predictor`.
        precision: Precision, as for `Predictor`.
        threads: Number of threads.

    Raises:
        BadInput: The sample has no jet, or the model cannot be used for its jets.
    """
    torch.set_num_threads(threads)
    # A file of a sample may have no valid jets in one of its blocks.
    filled = [path for path in tables if len(JetTable(path))]
    if not filled:
        raise BadInput(f"{tables[0].parent}: no jet in any jet table; expected one or more")
    boosters = {column: GBDTBaseline.load(path, threads) for column, path in gbdts.items()}
    masses = gbdt_masses(boosters, filled, TrainedModel.load(model).shards)
    predict_jets(model, [str(path) for path in filled], predictions, (), {}, device, precision, SETTINGS)
    table = pq.read_table(predictions)
    for column, values in masses.items():
        table = table.append_column(column, pa.array(values))
    table = table.replace_schema_metadata((table.schema.metadata or {}) | {b"model": file_digest(model).encode()})
    with atomic_write(predictions) as part:
        pq.write_table(table, part, **WRITE_OPTIONS)


def gbdt_masses(
    gbdts: Mapping[str, GBDTBaseline], tables: Sequence[Path], meta: ShardMeta
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return masses (N,) float32 of all jets in GeV, by column.

    A GBDT is left out if one of its features is unknown for all jets of a batch.

    Args:
        gbdts: GBDTs by column.
        tables: Jet tables with at least one jet each.
        meta: Metadata of the shards that the GBDTs are fitted to.
    """
    parts: dict[str, list[np.ndarray]] = {column: [] for column in gbdts}
    with_subjets = COLUMNS["trees_subjets"] in gbdts
    with Progress("features", sum(len(JetTable(path)) for path in tables)) as progress:
        for path in tables:
            table = JetTable(path)
            builder = ShardBuilder(path, table.layers, meta)
            for batch in table.batches() if gbdts else ():
                shard = builder.to_shard(batch, np.arange(len(batch)), np.ones(len(batch)))
                features = build_feature_table([shard], with_subjets)
                for column in [*parts]:
                    used = gbdts[column].features
                    unknown = np.isnan(features.select(used)).all(axis=0)
                    if unknown.any():
                        log_info(f"{path}: no column '{column}', because {used[np.argmax(unknown)].name} is unknown")
                        del parts[column]
                    else:
                        parts[column].append(gbdts[column].predict(features))
                progress.update(len(batch))
    return {column: np.concatenate(values) for column, values in parts.items()}


if __name__ == "__main__":
    with stage("predict_sample", snakemake.log[0]):
        predict_sample(
            Path(snakemake.input.model),
            {COLUMNS[Path(path).stem]: Path(path) for path in snakemake.input.gbdts},
            [Path(path) for path in snakemake.input.tables],
            Path(snakemake.output.predictions),
            snakemake.config["compute"]["device"],
            snakemake.params.precision,
            min(snakemake.threads, available_cores()),
        )
