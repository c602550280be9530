"""Draw the values of each layer before and after preprocessing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.drawing.style import save, styled
from topmass.drawing.values import layer_values
from topmass.files import BadInput
from topmass.jets import JetBatch, JetTable
from topmass.layers import find_layers
from topmass.preprocessing.shards import Shard, require_statistics
from topmass.preprocessing.statistics import Statistics, digest_of


def draw_layers(
    tables: Sequence[Path], shards: Sequence[Path], statistics: Path, values: Path, colours: Sequence[str]
) -> None:
    """Draw the values of the first jets of the tables, and of the jets of the first shard that has any.

    BadInput if there are no jets, or the shard was made with other statistics.
    """
    known = Statistics.load(statistics)
    layers = find_layers(known.layers, known.cells)
    jets, names = first_jets(tables)
    shard = first_shard(shards, digest_of(statistics))
    say(f"{len(jets):,} jets before, {len(shard):,} after")
    before = [jets.value[jets.layer == names.index(layer.name)] for layer in layers]
    after = [shard.arrays["value"][shard.arrays["layer"] == i].astype(np.float64) for i in range(len(layers))]
    with styled(colours):
        save(layer_values(layers, before, after, known.scales, (len(jets), len(shard))), values)


def first_jets(tables: Sequence[Path]) -> tuple[JetBatch, list[str]]:
    """The first jets of the first table that has any, and the names of its layers; BadInput if none has."""
    for table in map(JetTable, tables):
        for jets in table.batches():
            return jets, [layer.name for layer in table.layers]
    raise BadInput(f"{tables[0]}: no jet, nor in any other table of the sample")


def first_shard(paths: Sequence[Path], statistics: str) -> Shard:
    """The first of the shards that has a jet; BadInput if none has, or it was made with other statistics."""
    for path in paths:
        shard = Shard.load(path)
        require_statistics(path, shard.meta, statistics)
        if len(shard):
            return shard
    raise BadInput(f"{paths[0].parent}: no jet in any shard")


if __name__ == "__main__":
    with stage("draw_layers", snakemake.log[0]):
        draw_layers(
            [Path(path) for path in snakemake.input.tables],
            [Path(path) for path in snakemake.input.shards],
            Path(snakemake.input.statistics),
            Path(snakemake.output.layer_values[0]),
            snakemake.params.colours,
        )
