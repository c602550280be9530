"""Dense parquet files as CMS has written them: what `topmass.sources.parquet` reads, for tests and benchmarks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from topmass.jets import JetBatch
from topmass.layers import LAYERS, Layer
from topmass.sources.dense import to_dense

CMS_COLUMNS = {"image": "X_jet", "mass": "m", "pt": "pt", "ieta": "ieta", "iphi": "iphi"}
AT_ONCE = 64
"""Dense jets in memory, a megabyte each."""


def write_dense(
    path: Path,
    jets: JetBatch,
    layers: Sequence[Layer] = LAYERS,
    leaf: str = "f8",
    fixed: bool = False,
    row_group: int = 1,
    columns: Mapping[str, str] = CMS_COLUMNS,
    images: np.ndarray | None = None,
) -> None:
    """Write these jets, with other images (N, layers, SIDE, SIDE) if they are given.

    `leaf` is the type of a pixel; lists are of a `fixed` size or not; a row group has so many jets.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for start in range(0, len(jets), row_group * max(1, AT_ONCE // row_group)):
        here = np.arange(start, min(len(jets), start + row_group * max(1, AT_ONCE // row_group)))
        some = jets.take(here)
        dense = to_dense(some, layers) if images is None else images[here]
        content = {columns["image"]: nested(dense.astype(leaf), fixed)}
        content |= {name: getattr(some, ours).astype("f8") for ours, name in columns.items() if ours != "image"}
        table = pa.table(content)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=row_group)
    if writer:
        writer.close()


def nested(images: np.ndarray, fixed: bool = False) -> pa.Array:
    """Images (N, layers, SIDE, SIDE) as lists of lists of lists, of a fixed size or not."""
    leaves = pa.array(images.reshape(-1))
    for size in images.shape[:0:-1]:
        if fixed:
            leaves = pa.FixedSizeListArray.from_arrays(leaves, size)
        else:
            leaves = pa.ListArray.from_arrays(np.arange(0, len(leaves) + 1, size, dtype="i4"), leaves)
    return leaves
