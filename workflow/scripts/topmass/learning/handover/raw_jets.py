"""Jets as they are before any preprocessing, as the inputs of both signatures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from topmass.files import BadInput
from topmass.jets import JetBatch, JetTable, take_values
from topmass.learning.feeding.batches import SparseBatch, scatter
from topmass.preprocessing.conversion import Conversion, spread
from topmass.preprocessing.shards import Shard, ShardMeta
from topmass.preprocessing.split import SPLITS, split_of
from topmass.preprocessing.statistics import Statistics, digest_of


def find_test_jets(tables: Sequence[Path], statistics: Path, shards: ShardMeta, most: int) -> tuple[Shard, Shard]:
    """The first test jets of these tables, so many at most: raw, and as the stage `shards` would have made them.

    Raw is a shard whose values (V,) are float32 in the units of the layers. BadInput if there is no jet, or the
    statistics are not those that shards like these were made with.
    """
    known, digest = Statistics.load(statistics), digest_of(statistics)
    if digest != shards.statistics:
        raise BadInput(f"{statistics}: statistics {digest}, the model was trained with {shards.statistics}")
    raw, made, missing = [], [], most
    for table in map(JetTable, tables):
        conversion = Conversion(table.path, table.layers, shards)
        for batch in table.batches() if missing else ():
            test = split_of(known.sample, batch.event, known.split) == SPLITS.index("test")
            jets = np.flatnonzero(test)[:missing]
            raw.append(raw_jets(conversion, batch, jets))
            made.append(conversion.to_shard(batch, jets, np.ones(len(jets))))
            missing -= len(jets)
    if missing == most:
        raise BadInput(f"{tables[0].parent}: no test jet in any table")
    return Shard.join(raw), Shard.join(made)


def raw_jets(conversion: Conversion, batch: JetBatch, jets: np.ndarray) -> Shard:
    """These jets of a batch with the layers of the model, neither scaled nor suppressed."""
    offset, values = take_values(batch.offset, jets)
    layer = conversion.number[batch.layer[values]]
    chosen = np.flatnonzero(layer < len(conversion.scales))
    arrays = {"pixel": batch.pixel[values[chosen]], "layer": layer[chosen], "value": batch.value[values[chosen]]}
    arrays |= {name: getattr(batch, name)[jets] for name in ("event", "ieta", "iphi")}
    shard = Shard(np.searchsorted(chosen, offset), arrays, conversion.meta)
    return shard if tuple(conversion.cells) == shard.meta.cells else spread(shard, conversion.cells)


def inputs_of(raw: Shard, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The inputs of these names of raw jets, float32."""
    known = {name: raw.arrays[name].astype("f4") for name in ("ieta", "iphi")}
    known["position"] = np.stack([known["ieta"], known["iphi"]], axis=1)
    known["image" if "image" in names else "hits"] = images(raw) if "image" in names else padded(raw)
    return {name: known[name] for name in names}


def padded(raw: Shard) -> np.ndarray:
    """Hits (N, H, 4) of raw jets: row, column, layer and value, for as many as the jet with most of them has."""
    length = np.diff(raw.offset)
    hits = np.zeros((len(raw), max(1, length.max(initial=0)), 4), np.float32)
    jet = np.repeat(np.arange(len(raw)), length)
    place = np.arange(len(jet)) - raw.offset[jet]
    layer = raw.arrays["layer"]
    row, column = np.divmod(raw.arrays["pixel"], raw.meta.side // np.array(raw.meta.cells)[layer])
    hits[jet, place] = np.stack([row, column, layer, raw.arrays["value"]], axis=1)
    return hits


def images(raw: Shard) -> np.ndarray:
    """Images (N, layers, side, side) of raw jets."""
    length, pixel, layer, value = (
        torch.from_numpy(each)
        for each in (np.diff(raw.offset), raw.arrays["pixel"].astype("i2"), raw.arrays["layer"], raw.arrays["value"])
    )
    nothing = torch.zeros(len(raw), 0)
    batch = SparseBatch(length, pixel, layer, value, *[nothing] * 4)
    return scatter(batch, raw.meta).contiguous().numpy()
