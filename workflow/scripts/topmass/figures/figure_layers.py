"""Figure of the values of each layer before and after preprocessing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info
from topmass.files import BadInput, file_digest
from topmass.jets import JetBatch, JetTable
from topmass.layers import find_layers
from topmass.plotting.layer_values import layer_values as draw_layer_values
from topmass.plotting.style import save, style_context
from topmass.preprocessing.shards import Shard, require_statistics
from topmass.preprocessing.statistics import Statistics


def draw_layers(
    tables: Sequence[Path], shards: Sequence[Path], statistics: Path, layer_values: Path, colours: Sequence[str]
) -> None:
    """Draw the layer values of the first jets of the tables, and of the first shard with jets.

    Args:
        tables: Jet tables, before preprocessing.
        shards: Shards, after preprocessing.
        statistics: Statistics of the dataset.
        layer_values: Figure to write.
        colours: Colours of the figures.

    Raises:
        BadInput: There are no jets, or the shard was made with other statistics.
    """
    known = Statistics.load(statistics)
    layers = find_layers(known.layers, known.cells)
    jets, names = first_jets(tables)
    shard = first_shard(shards, file_digest(statistics))
    log_info(f"{len(jets):,} jets before, {len(shard):,} after")
    before = [jets.value[jets.layer == names.index(layer.name)] for layer in layers]
    after = [shard.arrays["value"][shard.arrays["layer"] == i].astype(np.float64) for i in range(len(layers))]
    with style_context(colours):
        save(draw_layer_values(layers, before, after, known.scales, (len(jets), len(shard))), layer_values)


def first_jets(tables: Sequence[Path]) -> tuple[JetBatch, list[str]]:
    """Load the first jets of the first table with jets, and its layer names; BadInput if there is no jet."""
    for table in map(JetTable, tables):
        for jets in table.batches():
            return jets, [layer.name for layer in table.layers]
    raise BadInput(f"{tables[0]}: no jet, nor in any other table of the sample")


def first_shard(paths: Sequence[Path], statistics: str) -> Shard:
    """Load the first shard with jets; BadInput if there is none, or if it was made with other statistics."""
    for path in paths:
        shard = Shard.load(path)
        require_statistics(path, shard.meta, statistics)
        if len(shard):
            return shard
    raise BadInput(f"{paths[0].parent}: no jet in any shard")
