"""Opening of parquet files with little memory and clear errors."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from topmass.files import BadInput, classify_read_error

READ_AHEAD = 1 << 20
"""Bytes per read of a column; without it, pyarrow reads the complete column of a row group."""
DAMAGED = (pa.ArrowException, OSError, ValueError)
"""Exceptions of pyarrow for a damaged file; ValueError for names that are not text."""


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a parquet file; raise BadInput if it is not a complete one, OSError if it cannot be opened."""
    # Raises an OSError that names the file; the exception of pyarrow does not.
    path.open("rb").close()
    try:
        return pq.ParquetFile(path, buffer_size=READ_AHEAD, page_checksum_verification=True)
    except DAMAGED as error:
        raise unreadable(error, path, "not a complete parquet file") from None


def unreadable(error: Exception, path: Path, what: str) -> Exception:
    """Return the error to raise after reading failed: `what`, unless the cause is encryption or the machine."""
    # Without the path, which may contain any word.
    reason = " ".join(str(error).replace(str(path), "").split())
    # A file with encrypted columns and a plain footer opens, but reading these columns fails.
    if "decrypt" in reason.lower():
        problem = f"the file, or some of its columns, are encrypted ({reason})"
        return BadInput(f"{path}: {problem}; expected plain parquet; to fix: decrypt it")
    return classify_read_error(error, f"{path}: {what}")
