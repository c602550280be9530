"""Preprocessing of one block of jets into one shard per split."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from topmass.console import log_info, stage
from topmass.files import file_digest
from topmass.jets import JetTable
from topmass.preprocessing.selection import Preprocessor
from topmass.preprocessing.shards import Shard
from topmass.preprocessing.split import SPLITS, hash_uniform
from topmass.preprocessing.statistics import Statistics
from topmass.progress import track


def make_shards(
    table: Path, statistics: Path, shards: Mapping[str, Path], zero_suppression: float, compression: str
) -> None:
    """Select, suppress, scale and flatten the jets of one table, and write one shard per split.

    A shard may be empty. Its jets are sorted by a hash of their events.

    Args:
        table: Jet table.
        statistics: Statistics of the dataset.
        shards: Shard to write, by split.
        zero_suppression: Threshold on |value / scale| below which values are dropped.
        compression: Compression of the values, as in `Preprocessor`.
    """
    known = Statistics.load(statistics)
    jets = JetTable(table)
    preprocessing = Preprocessor(jets, known, file_digest(statistics), zero_suppression, compression)
    parts: dict[str, list[Shard]] = {split: [preprocessing.empty_shard()] for split in SPLITS}
    # No progress bar, since several blocks are processed in parallel.
    for batch in track(jets.batches(), f"block {table.stem}", "jet", len(jets), len, bar=False):
        for split, part in preprocessing.apply(batch).items():
            parts[split].append(part)
    counts = []
    for split in SPLITS:
        shard = Shard.join(parts.pop(split))
        shard.take(np.argsort(hash_uniform(known.sample, "order", shard.arrays["event"]), kind="stable")).save(
            shards[split]
        )
        counts.append(f"{len(shard):,} {split}")
    log_info(f"block {table.stem}: {', '.join(counts)} of {len(jets):,} jets")


if __name__ == "__main__":
    with stage("make_shards", snakemake.log[0]):
        make_shards(
            Path(snakemake.input.table),
            Path(snakemake.input.statistics),
            {split: Path(snakemake.output[split]) for split in SPLITS},
            snakemake.params.zero_suppression,
            snakemake.params.compression,
        )
