"""The jet table: one parquet file a block, one row a jet, whatever the source of the jets."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from topmass.files import BadInput, damage, whole
from topmass.layers import SIDE, Layer, find_layers
from topmass.parquet import DAMAGED, open_parquet

VERSION = 2
ROW_GROUP = 2000
"""Jets a row group: about 5 MB, small enough to stay in a cache while it is decoded."""
LARGEST_BLOCK = 50_000
"""Jets a table, so that a stage that holds one in memory stays far below 2 GB."""
EVENTS_PER_BLOCK = 10_000_000
"""Event numbers of a block start at its own multiple of this."""
SPARSE = {"pixel": np.dtype("u2"), "layer": np.dtype("u1"), "value": np.dtype("f4")}
PER_JET = {
    "mass": np.dtype("f4"), "pt": np.dtype("f4"), "ieta": np.dtype("i2"), "iphi": np.dtype("i2"),
    "eta": np.dtype("f4"), "phi": np.dtype("f4"), "jet_mass": np.dtype("f4"), "softdrop_mass": np.dtype("f4"),
    "top_pt": np.dtype("f4"), "event": np.dtype("i8"),
    "quarks_in_window": np.dtype("i1"), "quarks_in_jet": np.dtype("i1"),
}  # fmt: skip
QUARKS = ("quarks_in_window", "quarks_in_jet")
"""How many of the three quarks of the top: 0 to 3, where the source of the jets knows it."""
NEEDED = ("mass", "pt")
"""Numbers that a jet has to have that a network is trained or scored with."""
POSITION = ("ieta", "iphi")
"""Null in all rows of a table whose source does not know where the jets are."""


def schema_of(position: bool) -> pa.Schema:
    """The columns of a table, in which `position` is known or not."""
    may_be_null = {name for name, dtype in PER_JET.items() if dtype.kind == "f"} - {"pt"} | set(QUARKS)
    may_be_null |= set() if position else set(POSITION)
    return pa.schema(
        [pa.field(name, pa.list_(pa.field("element", pa.from_numpy_dtype(dtype), nullable=False)), nullable=False)
         for name, dtype in SPARSE.items()]
        + [pa.field(name, pa.from_numpy_dtype(dtype), nullable=name in may_be_null) for name, dtype in PER_JET.items()]
    )  # fmt: skip


@dataclass
class JetBatch:
    """N jets. The non-zero values of jet i are at `offset[i]:offset[i + 1]` of `pixel`, `layer` and `value`.

    `pixel` is row × cells a side + column on the layer's own grid, rows in η; `layer` an index into the layers of
    the table. GeV, cm, radians; NaN where the source of the jets does not know a number, be it a whole one.
    """

    offset: np.ndarray
    pixel: np.ndarray
    layer: np.ndarray
    value: np.ndarray
    mass: np.ndarray
    pt: np.ndarray
    ieta: np.ndarray
    iphi: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    jet_mass: np.ndarray
    softdrop_mass: np.ndarray
    top_pt: np.ndarray
    event: np.ndarray
    quarks_in_window: np.ndarray
    quarks_in_jet: np.ndarray

    def __len__(self) -> int:
        return len(self.event)

    def take(self, jets: np.ndarray) -> "JetBatch":
        """The jets at these indices, in this order."""
        offset, values = take_values(self.offset, jets)
        sparse = {name: getattr(self, name)[values] for name in SPARSE}
        return JetBatch(offset, **sparse, **{name: getattr(self, name)[jets] for name in PER_JET})


def take_values(offset: np.ndarray, jets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For jets of these indices (M,): their own offsets (M + 1,), and the indices of their values, jet by jet."""
    length = np.diff(offset)[jets]
    taken = np.concatenate([[0], np.cumsum(length)])
    return taken, np.arange(taken[-1]) + np.repeat(offset[jets] - taken[:-1], length)


def join(batches: Sequence[JetBatch]) -> JetBatch:
    """One batch of all the jets of several."""
    offset = join_offsets([batch.offset for batch in batches])
    rest = {field.name: np.concatenate([getattr(b, field.name) for b in batches]) for field in fields(JetBatch)[1:]}
    return JetBatch(offset, **rest)


def join_offsets(offsets: Sequence[np.ndarray]) -> np.ndarray:
    """The offsets of several batches, put one after another."""
    return np.concatenate([[0], np.cumsum(np.concatenate([np.diff(offset) for offset in offsets]))])


def flaws(batch: JetBatch, layers: Sequence[Layer], needed: Sequence[str] = NEEDED) -> Iterator[tuple[np.ndarray, str]]:
    """What makes jets unusable: the rows (at least one) that have a flaw, in order, and what it is in the first.

    Of the numbers of a jet those that are `needed` have to be finite.
    """
    size = np.zeros(256, np.uint16)
    size[: len(layers)] = [(SIDE // layer.cell) ** 2 for layer in layers]
    beyond = np.flatnonzero(batch.pixel >= size[batch.layer])
    for values, what in (
        (beyond[batch.layer[beyond] >= len(layers)], "layer"),
        (beyond[batch.layer[beyond] < len(layers)], "pixel"),
        (np.flatnonzero(~np.isfinite(batch.value)), "value"),
    ):
        if len(values):
            first = values[0]
            trouble = "is not finite" if what == "value" else f"{getattr(batch, what)[first]} does not exist"
            if what == "value" and len(layers) > batch.layer[first]:
                what = f"value in layer '{layers[batch.layer[first]].name}'"
            yield np.unique(np.searchsorted(batch.offset, values, side="right") - 1), f"{what} {trouble}"
    for name in needed:
        rows = np.flatnonzero(~np.isfinite(getattr(batch, name)))
        if len(rows):
            yield rows, f"{name} is not finite"
    for name in QUARKS:
        number = getattr(batch, name)
        rows = np.flatnonzero(~np.isin(number, range(4)) & ~np.isnan(number))
        if len(rows):
            yield rows, f"{name} is {number[rows[0]]:g}, not 0, 1, 2, 3 or null"


def write_jets(
    path: Path, batches: Iterable[JetBatch], layers: Sequence[Layer], source: dict, position: bool = True
) -> None:
    """Write a jet table, one row group a batch; `source` says where the jets come from.

    Without `position` their `ieta` and `iphi` are not known.
    """
    about = {
        "version": VERSION,
        "side": SIDE,
        "layers": [{"name": layer.name, "unit": layer.unit, "cell": layer.cell} for layer in layers],
        "source": source,
    }
    # A position goes without saying, as it did when there was no other way.
    about |= {} if position else {"position": False}
    schema = schema_of(position).with_metadata({"topmass": json.dumps(about, sort_keys=True)})
    options = {"compression": "zstd", "use_dictionary": ["layer.list.element"], "write_page_checksum": True}
    with whole(path) as part, pq.ParquetWriter(part, schema, **options) as writer:
        for batch in filter(len, batches):
            writer.write_table(_to_arrow(batch, schema), row_group_size=len(batch))


def _to_arrow(batch: JetBatch, schema: pa.Schema) -> pa.Table:
    offset = pa.array(batch.offset, pa.int32())
    columns = [
        pa.ListArray.from_arrays(
            offset, pa.array(getattr(batch, name).astype(dtype, copy=False)), schema.field(name).type
        )
        for name, dtype in SPARSE.items()
    ]
    for name, dtype in PER_JET.items():
        values = getattr(batch, name)
        unknown = np.isnan(values) if schema.field(name).nullable else None
        with np.errstate(invalid="ignore"):
            columns.append(pa.array(values.astype(dtype, copy=False), mask=unknown))
    return pa.Table.from_arrays(columns, schema=schema)


class JetTable:
    """A jet table opened for reading. BadInput if the file is not one, or not whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = open_parquet(path)
        about = (self.file.schema_arrow.metadata or {}).get(b"topmass")
        if about is None:
            raise BadInput(f"{path}: a parquet file, but not a jet table of topmass (no 'topmass' in its metadata)")
        try:
            self.about = json.loads(about)
            known = (self.about["version"], self.about["side"])
            self.layers = find_layers(*([each[key] for each in self.about["layers"]] for key in ("name", "cell")))
            self.position = self.about.get("position", True)
            if not isinstance(self.position, bool):
                raise ValueError(f"position is {self.position}")
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path}: metadata of no known jet table ({error!r})") from None
        if known != (VERSION, SIDE):
            raise BadInput(f"{path}: jet table of (version, side) {known}, this code reads {(VERSION, SIDE)}")
        self.schema = schema_of(self.position)
        for field in self.schema:
            if field.name not in self.file.schema_arrow.names:
                raise BadInput(f"{path}: no column '{field.name}'")
            found = self.file.schema_arrow.field(field.name).type
            if not found.equals(field.type):
                raise BadInput(f"{path}: column '{field.name}' is {found}, not {field.type}")

    def __len__(self) -> int:
        return self.file.metadata.num_rows

    def batches(self) -> Iterator[JetBatch]:
        """All jets, in batches of at most a row group's, checked to be usable."""
        first_row = 0
        try:
            for rows in self.file.iter_batches(ROW_GROUP, use_threads=False):
                batch = _from_arrow(rows, self.schema)
                for at, flaw in flaws(batch, self.layers):
                    raise BadInput(f"{self.path}: row {first_row + at[0]}: {flaw}")
                yield batch
                first_row += len(batch)
        except DAMAGED as error:
            raise damage(error, f"{self.path}: damaged after row {first_row}") from None

    def columns(self, names: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        """Some of the columns with one number a jet, in large batches."""
        try:
            for rows in self.file.iter_batches(50 * ROW_GROUP, columns=list(names), use_threads=False):
                yield {name: _numbers(rows, name, self.schema) for name in names}
        except DAMAGED as error:
            raise damage(error, f"{self.path}: damaged in the columns {', '.join(names)}") from None


def _from_arrow(rows: pa.RecordBatch, schema: pa.Schema) -> JetBatch:
    start = rows["pixel"].offsets.to_numpy()
    if any(rows[name].null_count or rows[name].flatten().null_count for name in SPARSE):
        raise pa.ArrowInvalid("pixel, layer or value is null")
    if any(
        not np.array_equal(rows[name].offsets.to_numpy() - rows[name].offsets[0].as_py(), start - start[0])
        for name in SPARSE
    ):
        raise pa.ArrowInvalid("pixel, layer and value differ in length")
    sparse = {name: rows[name].flatten().to_numpy() for name in SPARSE}
    per_jet = {name: _numbers(rows, name, schema) for name in PER_JET}
    return JetBatch((start - start[0]).astype(np.int64), **sparse, **per_jet)


def _numbers(rows: pa.RecordBatch, name: str, schema: pa.Schema) -> np.ndarray:
    if rows[name].null_count and not schema.field(name).nullable:
        raise pa.ArrowInvalid(f"{name} is null")
    values = rows[name].to_numpy(zero_copy_only=False)
    return values.astype(np.float32, copy=False) if schema.field(name).nullable else values
