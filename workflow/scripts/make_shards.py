"""Preprocess one block of jets: select, suppress, scale and unbias, and write a shard for each split."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.jets import JetBatch, JetTable, join
from topmass.layers import SIDE
from topmass.preprocessing.scaling import scale_values
from topmass.preprocessing.shards import PER_JET, SPARSE, Shard, ShardMeta
from topmass.preprocessing.split import SPLITS, split_of, uniform
from topmass.preprocessing.statistics import Statistics, digest_of, find_layers


def make_shards(
    table: Path, statistics: Path, shards: Mapping[str, Path], zero_suppression: float, compression: str
) -> None:
    """Write the jets of one table that unbiasing keeps, each to the shard of its split; a shard may be empty.

    Within a shard jets are in the order of a hash of their events.
    """
    known = Statistics.load(statistics)
    jets = JetTable(table)
    positions = find_layers(jets, known.layers)
    meta = ShardMeta(
        layers=tuple(known.layers),
        cells=tuple(jets.layers[position].cell for position in positions),
        side=SIDE,
        statistics=digest_of(statistics),
        preprocessing=f"zero suppression {zero_suppression:g}, compression {compression}",
    )
    kept = join([keep(batch, known) for batch in jets.batches()])
    kept = kept.take(np.argsort(uniform(known.sample, "order", kept.event), kind="stable"))
    split = split_of(known.sample, kept.event, known.split)
    for i, name in enumerate(SPLITS):
        chosen = preprocess(
            kept.take(np.flatnonzero(split == i)), positions, known.scales, zero_suppression, compression, meta
        )
        chosen.save(shards[name])
    counts = ", ".join(f"{np.sum(split == i):,} {name}" for i, name in enumerate(SPLITS))
    say(f"block {table.stem}: {counts} of {len(jets):,} jets")


def keep(batch: JetBatch, known: Statistics) -> JetBatch:
    """The jets of a batch that unbiasing keeps."""
    draw = uniform(known.sample, "unbias", batch.event)
    return batch.take(np.flatnonzero(known.flattening.keeps(batch.mass, batch.pt, draw)))


def preprocess(
    jets: JetBatch,
    positions: list[int],
    scales: list[float],
    zero_suppression: float,
    compression: str,
    meta: ShardMeta,
) -> Shard:
    """The chosen layers of all these jets, numbered anew in the order of `positions`, suppressed and scaled."""
    number = np.full(256, len(positions))
    number[positions] = np.arange(len(positions))
    layer = number[jets.layer]
    chosen = layer < len(positions)
    scaled, kept = scale_values(jets.value[chosen], np.float32(scales)[layer[chosen]], zero_suppression, compression)
    chosen[chosen] = kept
    offset = np.concatenate([[0], np.cumsum(chosen)])[jets.offset]
    arrays = {"pixel": jets.pixel[chosen], "layer": layer[chosen], "value": scaled[kept]}
    arrays |= {name: getattr(jets, name) for name in PER_JET}
    return Shard(offset, {name: arrays[name].astype(dtype) for name, dtype in (SPARSE | PER_JET).items()}, meta)


if __name__ == "__main__":
    with stage("shards", snakemake.log[0]):
        make_shards(
            Path(snakemake.input.table),
            Path(snakemake.input.statistics),
            {split: Path(snakemake.output[split]) for split in SPLITS},
            snakemake.params.zero_suppression,
            snakemake.params.compression,
        )
