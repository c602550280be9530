"""Inference output: the user's columns plus predictions, one parquet row per jet."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from topmass.evaluation.friend_tree import check_friend_tree
from topmass.evaluation.predictions import INTERVAL_COLUMNS
from topmass.files import BadInput, atomic_write, classify_read_error
from topmass.jets import ROW_GROUP
from topmass.parquet import open_parquet

SUMMARY = "topmass_jets"
"""Metadata key of the summary of a part's jets."""
WRITE_OPTIONS = {"compression": "zstd", "write_page_checksum": True}


def output_schema(columns: pa.Schema, quantiles: Sequence[float], path: Path, calibrated: bool = False) -> pa.Schema:
    """Return the schema of the output: the copied columns, then `predicted`, and with quantiles `low` and `high`.

    Calibrated masses follow as `calibrated`.

    Args:
        columns: Schema of the columns copied from the input.
        quantiles: Quantiles that `low` and `high` are; empty for a model without intervals.
        path: Input file, for the error message.
        calibrated: Whether the output has calibrated masses.

    Raises:
        BadInput: If the input already has a column of one of these names.
    """
    added = ("predicted", *(INTERVAL_COLUMNS if quantiles else ()), *(["calibrated"] if calibrated else ()))
    for name in added:
        if name in columns.names:
            raise BadInput(f"{path}: column '{name}' has the name of a column of the output; to fix: rename it")
    fields = [*columns, *(pa.field(name, pa.float32()) for name in added)]
    return pa.schema(fields, {"quantiles": json.dumps(quantiles)} if quantiles else None)


def write_part(
    path: Path,
    parts: Iterable[tuple[pa.Table, np.ndarray, np.ndarray | None]],
    schema: pa.Schema,
    about: dict,
    summary: Callable[[], dict],
) -> None:
    """Write one part of the output.

    Args:
        path: File to write.
        parts: Copied columns with predicted masses (N, 1) or quantiles (N, 3) in GeV, and calibrated masses (N,) if
            the schema has them.
        schema: Schema from `output_schema`.
        about: Everything that the predictions depend on; stored in the metadata for `is_written`.
        summary: Returns a JSON-serialisable summary of the jets; called after the last jet is written.
    """
    metadata = (schema.metadata or {}) | {b"topmass_part": json.dumps(about, sort_keys=True).encode()}
    with (
        atomic_write(path) as temporary,
        pq.ParquetWriter(temporary, schema.with_metadata(metadata), **WRITE_OPTIONS) as writer,
    ):
        for copied, masses, calibrated in parts:
            outputs = masses.shape[1]
            chosen = [outputs // 2, *([0, outputs - 1] if outputs > 1 else [])]
            added = [pa.array(masses[:, output].astype("f4")) for output in chosen]
            added += [] if calibrated is None else [pa.array(calibrated, from_pandas=True)]
            writer.write_table(pa.Table.from_arrays([*copied.columns, *added], schema=writer.schema))
        writer.add_key_value_metadata({SUMMARY: json.dumps(summary())})


def is_written(path: Path, about: dict) -> bool:
    """Return whether a complete part exists whose `about` is the same."""
    try:
        return json.loads((open_parquet(path).schema_arrow.metadata or {})[b"topmass_part"]) == about
    except (BadInput, OSError, KeyError, ValueError):
        return False


def summary_of(path: Path) -> dict:
    """Return the summary of a part's jets from its metadata."""
    return json.loads((open_parquet(path).metadata.metadata or {})[SUMMARY.encode()])


def join_parts(parts: Sequence[Path], out: Path, schema: pa.Schema) -> int:
    """Concatenate all parts into one file and return the number of jets.

    Args:
        parts: Parts from `write_part`, all with `schema`.
        out: File to write.
        schema: Schema from `output_schema`.

    Raises:
        BadInput: If a part is damaged.
    """
    jets = 0
    with atomic_write(out) as temporary, pq.ParquetWriter(temporary, schema, **WRITE_OPTIONS) as writer:
        for path in parts:
            try:
                for rows in open_parquet(path).iter_batches(50 * ROW_GROUP, use_threads=False):
                    writer.write_table(pa.Table.from_batches([rows]).replace_schema_metadata(schema.metadata))
                    jets += len(rows)
            except pa.ArrowException as error:
                raise classify_read_error(error, f"{path}: damaged") from None
    return jets


def check_output(out: Path) -> None:
    """Check that `out` is a file of predictions or does not exist, so that no jets of the user are overwritten.

    Raises:
        BadInput: If `out` is a folder or a file without predictions.
    """
    if out.is_dir():
        raise BadInput(f"{out}: this is a folder; name a file for the predictions")
    if out.suffix == ".root":
        if out.exists():
            check_friend_tree(out)
        return
    try:
        has_predictions = not out.exists() or "predicted" in open_parquet(out).schema_arrow.names
    except BadInput:
        has_predictions = False
    if not has_predictions:
        raise BadInput(f"{out}: this file exists and contains no predictions, so it is not overwritten")
