"""Parquet files opened with what all of ours need: little memory, and a clear word if they are damaged."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from topmass.files import damage

READ_AHEAD = 1 << 20
"""Bytes read of a column at a time: without it, pyarrow reads a column of a row group whole."""
DAMAGED = (pa.ArrowException, OSError, ValueError)
"""What pyarrow raises for a damaged file; ValueError for names that are no text."""


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open for reading. BadInput if it is not a whole parquet file, OSError if it cannot be opened."""
    # What pyarrow raises then does not name the file as an OSError does.
    path.open("rb").close()
    try:
        return pq.ParquetFile(path, buffer_size=READ_AHEAD, page_checksum_verification=True)
    except DAMAGED as error:
        raise damage(error, f"{path}: not a whole parquet file") from None
