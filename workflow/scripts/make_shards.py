"""Preprocessing of one block of jets into one shard per split."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from topmass.console import log_info, stage
from topmass.files import file_digest
from topmass.jets import JetTable
from topmass.preprocessing.shard_builder import ShardBuilder
from topmass.preprocessing.shards import Shard, ShardMeta
from topmass.preprocessing.split import SPLITS, assign_split, hash_uniform
from topmass.preprocessing.statistics import Statistics
from topmass.progress import track

BACKGROUND_TARGET = "gen_softdrop_mass"
"""Target of jets without a top quark, as in the mass regression of CMS; jets without a generated jet are left out."""
MIN_BACKGROUND_MASS = 1.0
"""GeV; smaller targets of background jets are set to this mass, since losses may divide by the target."""


def make_shards(
    table: Path,
    statistics: Path,
    shards: Mapping[str, Path],
    zero_suppression: float,
    compression: str,
    is_background: bool = False,
) -> None:
    """Select, suppress, scale and flatten the jets of one table, and write one shard per split.

    A shard may be empty. Its jets are sorted by a hash of their events. All jets of a background are training jets, and
    their target is `BACKGROUND_TARGET`; they are not flattened.

    Args:
        table: Jet table.
        statistics: Statistics of the dataset.
        shards: Shard to write, by split.
        zero_suppression: Threshold on |value / scale| below which values are dropped.
        compression: Compression of the values, as in `normalize`.
        is_background: Whether the table belongs to the background of the dataset.
    """
    dataset = Statistics.load(statistics)
    jets = JetTable(table, BACKGROUND_TARGET if is_background else dataset.target)
    meta = ShardMeta(
        layers=tuple(dataset.layers),
        cells=tuple(dataset.cells),
        scales=tuple(dataset.scales),
        zero_suppression=zero_suppression,
        compression=compression,
        statistics=file_digest(statistics),
        position=jets.position,
    )
    builder = ShardBuilder(table, jets.layers, meta)
    parts: dict[str, list[Shard]] = {name: [builder.empty_shard()] for name in SPLITS}
    # No progress bar, since several blocks are processed in parallel.
    for batch in track(jets.batches(), f"block {table.stem}", "jet", len(jets), len, bar=False):
        if is_background:
            batch.mass = np.maximum(batch.mass, np.float32(MIN_BACKGROUND_MASS))
            parts["train"].append(builder.to_shard(batch, np.arange(len(batch)), np.ones(len(batch), np.float32)))
            continue
        split = assign_split(dataset.sample, batch.event, dataset.split)
        for i, name in enumerate(SPLITS):
            rows = np.flatnonzero(split == i)
            weight = dataset.weights(name, batch.mass[rows], batch.pt[rows], batch.event[rows])
            parts[name].append(builder.to_shard(batch, rows[weight > 0], weight[weight > 0]))
    counts = []
    for name in SPLITS:
        shard = Shard.join(parts.pop(name))
        order = np.argsort(hash_uniform(dataset.sample, "order", shard.arrays["event"]), kind="stable")
        shard.take(order).save(shards[name])
        counts.append(f"{len(shard):,} {name}")
    log_info(f"block {table.stem}: {', '.join(counts)} of {len(jets):,} jets")


if __name__ == "__main__":
    with stage("make_shards", snakemake.log[0]):
        make_shards(
            Path(snakemake.input.table),
            Path(snakemake.input.statistics),
            {split: Path(snakemake.output[split]) for split in SPLITS},
            snakemake.params.zero_suppression,
            snakemake.params.compression,
            snakemake.params.is_background,
        )
