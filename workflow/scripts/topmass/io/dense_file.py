"""Writer of dense parquet files in the CMS format, for tests and benchmarks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from topmass.io.dense_images import to_dense
from topmass.jets import JetBatch
from topmass.layers import LAYERS, Layer

CMS_COLUMNS = {"image": "X_jet", "mass": "m", "pt": "pt", "ieta": "ieta", "iphi": "iphi"}
DENSE_FILE_CHUNK = 64
"""Dense jets in memory, one megabyte each."""


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
    """Write jets as a dense parquet file.

    Args:
        path: Output file.
        jets: Jets to write.
        layers: Layers of the images.
        leaf: NumPy type of a pixel.
        fixed: Whether lists have a fixed size.
        row_group: Jets per row group.
        columns: Names of the columns to write, by name in the jet table.
        images: Images (N, layers, SIDE, SIDE) that replace those of `jets`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    step = row_group * max(1, DENSE_FILE_CHUNK // row_group)
    for start in range(0, len(jets), step):
        rows = np.arange(start, min(len(jets), start + step))
        batch = jets.take(rows)
        dense = to_dense(batch, layers) if images is None else images[rows]
        content = {columns["image"]: nested_images(dense.astype(leaf), fixed)}
        content |= {column: getattr(batch, name).astype("f8") for name, column in columns.items() if name != "image"}
        table = pa.table(content)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=row_group)
    if writer:
        writer.close()


def nested_images(images: np.ndarray, fixed: bool = False) -> pa.Array:
    """Return images (N, layers, SIDE, SIDE) as lists of lists of lists, of a fixed size or not."""
    leaves = pa.array(images.reshape(-1))
    for size in images.shape[:0:-1]:
        if fixed:
            leaves = pa.FixedSizeListArray.from_arrays(leaves, size)
        else:
            leaves = pa.ListArray.from_arrays(np.arange(0, len(leaves) + 1, size, dtype="i4"), leaves)
    return leaves
