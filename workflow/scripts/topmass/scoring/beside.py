"""Predictions beside the columns of somebody's own: one parquet file, one row a jet, in the order of the jets."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from topmass.files import BadInput, damage, whole
from topmass.jets import ROW_GROUP
from topmass.parquet import open_parquet
from topmass.scoring.predictions import ENDS

OPTIONS = {"compression": "zstd", "write_page_checksum": True}


def schema_beside(kept: pa.Schema, quantiles: Sequence[float], path: Path) -> pa.Schema:
    """The columns of a file that are kept, and after them `predicted`, with quantiles `low` and `high` too.

    BadInput if the file at `path`, from which they are, has one of these already.
    """
    added = ("predicted", *(ENDS if quantiles else ()))
    for name in added:
        if name in kept.names:
            raise BadInput(f"{path}: it has a column '{name}', which is what the prediction is called: rename it")
    fields = [*kept, *(pa.field(name, pa.float32()) for name in added)]
    return pa.schema(fields, {"quantiles": json.dumps(quantiles)} if quantiles else None)


def write_part(path: Path, parts: Iterable[tuple[pa.Table, np.ndarray]], schema: pa.Schema, about: dict) -> None:
    """Write columns that are kept with masses (N, 1), or quantiles (N, 3), in GeV; `about` is what they depend on."""
    told = (schema.metadata or {}) | {b"topmass_part": json.dumps(about, sort_keys=True).encode()}
    with whole(path) as part, pq.ParquetWriter(part, schema.with_metadata(told), **OPTIONS) as writer:
        for kept, masses in parts:
            outputs = masses.shape[1]
            chosen = [outputs // 2, *([0, outputs - 1] if outputs > 1 else [])]
            added = [pa.array(masses[:, output].astype("f4")) for output in chosen]
            writer.write_table(pa.Table.from_arrays([*kept.columns, *added], schema=writer.schema))


def is_written(path: Path, about: dict) -> bool:
    """Whether there is a whole part that depends on the very same."""
    try:
        told = (open_parquet(path).schema_arrow.metadata or {}).get(b"topmass_part", b"{}")
        return json.loads(told) == about
    except (BadInput, OSError, ValueError):
        return False


def join_parts(parts: Sequence[Path], out: Path, schema: pa.Schema) -> int:
    """Write all parts, which have this schema, one after the other into one file; the number of jets."""
    jets = 0
    with whole(out) as part, pq.ParquetWriter(part, schema, **OPTIONS) as writer:
        for path in parts:
            try:
                for rows in open_parquet(path).iter_batches(50 * ROW_GROUP, use_threads=False):
                    writer.write_table(pa.Table.from_batches([rows]).replace_schema_metadata(schema.metadata))
                    jets += len(rows)
            except pa.ArrowException as error:
                raise damage(error, f"{path}: damaged") from None
    return jets


def check_output(out: Path) -> None:
    """BadInput unless this is, or may become, a file of predictions: somebody's jets are not written over."""
    if out.is_dir():
        raise BadInput(f"{out}: this is a folder; name a file for the predictions")
    if not out.exists():
        return
    try:
        ours = "predicted" in open_parquet(out).schema_arrow.names
    except BadInput:
        ours = False
    if not ours:
        raise BadInput(f"{out}: this file is there already and has no predictions in it: it is not written over")
