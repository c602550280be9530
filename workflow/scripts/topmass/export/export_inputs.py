"""Raw jets as inputs of the dense and sparse ONNX models."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from topmass.data.batches import SparseBatch, to_dense_images
from topmass.files import BadInput, file_digest
from topmass.jets import JetBatch, JetTable, take_values
from topmass.preprocessing.shard_builder import ShardBuilder, expand_cells
from topmass.preprocessing.shards import Shard, ShardMeta
from topmass.preprocessing.split import SPLITS, assign_split
from topmass.preprocessing.statistics import Statistics


def find_test_jets(
    tables: Sequence[Path], statistics: Path | None, shards: ShardMeta, most: int
) -> tuple[Shard, Shard]:
    """Return the first test jets of the tables, raw and preprocessed.

    The values (V,) of the raw shard are float32 in the units of the layers. The other shard is as the stage
    `make_shards` would write it.

    Args:
        tables: Jet tables.
        statistics: Statistics file of the preprocessing; None if jets of all splits may be used.
        shards: Metadata of the shards that the model was trained on.
        most: Maximum number of jets.

    Raises:
        BadInput: There is no test jet, or the statistics are not those of `shards`.
    """
    dataset = Statistics.load(statistics) if statistics else None
    if statistics and (digest := file_digest(statistics)) != shards.statistics:
        raise BadInput(f"{statistics}: statistics {digest}, the model was trained with {shards.statistics}")
    raw, preprocessed, missing = [], [], most
    for table in map(JetTable, tables):
        builder = ShardBuilder(table.path, table.layers, shards)
        for batch in table.batches() if missing else ():
            jets = np.arange(len(batch))
            if dataset:
                jets = np.flatnonzero(assign_split(dataset.sample, batch.event, dataset.split) == SPLITS.index("test"))
            jets = jets[:missing]
            raw.append(build_raw_jets(builder, batch, jets))
            preprocessed.append(builder.to_shard(batch, jets, np.ones(len(jets))))
            missing -= len(jets)
    if missing == most:
        raise BadInput(f"{tables[0].parent}: no test jet in any table")
    return Shard.join(raw), Shard.join(preprocessed)


def build_raw_jets(builder: ShardBuilder, batch: JetBatch, jets: np.ndarray) -> Shard:
    """Return the selected jets of a batch with the layers of the model, neither scaled nor zero-suppressed."""
    offset, values = take_values(batch.offset, jets)
    layer = builder.number[batch.layer[values]]
    hits = np.flatnonzero(layer < len(builder.scales))
    arrays = {"pixel": batch.pixel[values[hits]], "layer": layer[hits], "value": batch.value[values[hits]]}
    arrays |= {name: getattr(batch, name)[jets] for name in ("event", "ieta", "iphi")}
    shard = Shard(np.searchsorted(hits, offset), arrays, builder.meta)
    return shard if tuple(builder.cells) == shard.meta.cells else expand_cells(shard, builder.cells)


def graph_inputs(raw: Shard, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the named inputs of an ONNX model for raw jets, float32."""
    inputs = {name: raw.arrays[name].astype("f4") for name in ("ieta", "iphi")}
    inputs["position"] = np.stack([inputs["ieta"], inputs["iphi"]], axis=1)
    inputs |= {"image": dense_inputs(raw)} if "image" in names else {"hits": pad_hits(raw)}
    return {name: inputs[name] for name in names}


def pad_hits(raw: Shard) -> np.ndarray:
    """Return hits (N, H, 4) of raw jets: row, column, layer and value, where H is the largest number of hits."""
    length = np.diff(raw.offset)
    hits = np.zeros((len(raw), max(1, length.max(initial=0)), 4), np.float32)
    jet = np.repeat(np.arange(len(raw)), length)
    layer = raw.arrays["layer"]
    row, column = np.divmod(raw.arrays["pixel"], raw.meta.side // np.array(raw.meta.cells)[layer])
    hits[jet, np.arange(len(jet)) - raw.offset[jet]] = np.stack([row, column, layer, raw.arrays["value"]], axis=1)
    return hits


def dense_inputs(raw: Shard) -> np.ndarray:
    """Return images (N, layers, side, side) of raw jets."""
    arrays = (np.diff(raw.offset), raw.arrays["pixel"].astype("i2"), raw.arrays["layer"], raw.arrays["value"])
    batch = SparseBatch(*map(torch.from_numpy, arrays), *[torch.zeros(len(raw), 0)] * 4)
    return to_dense_images(batch, raw.meta).contiguous().numpy()
