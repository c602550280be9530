"""Dense parquet files as others write them, made from the jets of a table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from topmass.jets import JetBatch
from topmass.layers import LAYERS, SIDE, Layer
from topmass.sources.dense import to_dense

CMS_COLUMNS = {"image": "X_jet", "mass": "m", "pt": "pt", "ieta": "ieta", "iphi": "iphi"}


def nested(images: np.ndarray, fixed: bool = False) -> pa.Array:
    """Images (N, layers, SIDE, SIDE) as lists of lists of lists, of a fixed size or not."""
    leaves = pa.array(images.reshape(-1))
    for size in images.shape[:0:-1]:
        if fixed:
            leaves = pa.FixedSizeListArray.from_arrays(leaves, size)
        else:
            leaves = pa.ListArray.from_arrays(np.arange(0, len(leaves) + 1, size, dtype="i4"), leaves)
    return leaves


def write_dense(
    path: Path,
    jets: JetBatch,
    layers: Sequence[Layer] = LAYERS,
    leaf: str = "f8",
    fixed: bool = False,
    row_group: int = 1,
    columns: dict[str, str] = CMS_COLUMNS,
    images: np.ndarray | None = None,
) -> None:
    """Write these jets, or others with the same numbers if `images` are given."""
    assert columns["image"] and SIDE == 125
    dense = to_dense(jets, layers) if images is None else images
    known = {ours: getattr(jets, ours).astype("f8") for ours in columns if ours != "image"}
    table = pa.table(
        {columns["image"]: nested(dense.astype(leaf), fixed)} | {columns[ours]: known[ours] for ours in known}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group)
