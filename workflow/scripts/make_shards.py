"""Preprocess one block of jets: select, suppress, scale and unbias, and write a shard for each split."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.jets import JetTable
from topmass.preprocessing.selection import Preprocessing
from topmass.preprocessing.shards import Shard
from topmass.preprocessing.split import SPLITS, uniform
from topmass.preprocessing.statistics import Statistics, digest_of


def make_shards(
    table: Path, statistics: Path, shards: Mapping[str, Path], zero_suppression: float, compression: str
) -> None:
    """Write the jets of one table that unbiasing keeps, each to the shard of its split; a shard may be empty.

    Within a shard jets are in the order of a hash of their events.
    """
    known = Statistics.load(statistics)
    jets = JetTable(table)
    preprocessing = Preprocessing(jets, known, digest_of(statistics), zero_suppression, compression)
    parts: dict[str, list[Shard]] = {split: [preprocessing.nothing()] for split in SPLITS}
    for batch in jets.batches():
        for split, part in preprocessing.apply(batch).items():
            parts[split].append(part)
    counts = []
    for split in SPLITS:
        shard = Shard.join(parts.pop(split))
        shard.take(np.argsort(uniform(known.sample, "order", shard.arrays["event"]), kind="stable")).save(shards[split])
        counts.append(f"{len(shard):,} {split}")
    say(f"block {table.stem}: {', '.join(counts)} of {len(jets):,} jets")


if __name__ == "__main__":
    with stage("shards", snakemake.log[0]):
        make_shards(
            Path(snakemake.input.table),
            Path(snakemake.input.statistics),
            {split: Path(snakemake.output[split]) for split in SPLITS},
            snakemake.params.zero_suppression,
            snakemake.params.compression,
        )
