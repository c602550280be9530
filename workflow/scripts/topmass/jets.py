"""The jet table: one parquet file per block, one row per jet, for all sources of jets."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from topmass.files import BadInput, atomic_write
from topmass.layers import SIDE, Layer, find_layers
from topmass.parquet import DAMAGED, open_parquet, unreadable

JET_TABLE_VERSION = 3
ROW_GROUP = 2000
"""Jets per row group: about 5 MB, small enough to stay in a cache while it is decoded."""
LARGEST_BLOCK = 50_000
"""Maximum number of jets per table; a stage with one table in memory stays far below 2 GB."""
EVENTS_PER_BLOCK = 10_000_000
"""Event numbers of a block start at its own multiple of this number."""
HIT_COLUMNS = {"pixel": np.dtype("u2"), "layer": np.dtype("u1"), "value": np.dtype("f4")}
JET_COLUMNS = {
    "mass": np.dtype("f4"), "pt": np.dtype("f4"), "ieta": np.dtype("i2"), "iphi": np.dtype("i2"),
    "eta": np.dtype("f4"), "phi": np.dtype("f4"), "jet_mass": np.dtype("f4"), "softdrop_mass": np.dtype("f4"),
    "top_pt": np.dtype("f4"), "event": np.dtype("i8"),
    "quarks_in_window": np.dtype("i1"), "quarks_in_jet": np.dtype("i1"),
    "gen_jet_pt": np.dtype("f4"), "gen_jet_mass": np.dtype("f4"), "gen_softdrop_mass": np.dtype("f4"),
    "pileup": np.dtype("f4"), "weight": np.dtype("f4"),
}  # fmt: skip
QUARKS = ("quarks_in_window", "quarks_in_jet")
"""Number of the three quarks of the top decay, 0 to 3; null if the source does not provide it."""
REQUIRED_COLUMNS = ("mass", "pt")
"""Columns that must be finite for training and evaluation."""
GENERATED_COLUMNS = ("gen_jet_pt", "gen_jet_mass", "gen_softdrop_mass", "pileup", "weight")
"""Properties of the generated event; null if the source does not provide them."""
GENERATED_JET_MASSES = ("gen_jet_mass", "gen_softdrop_mass")
"""Targets apart from `mass`."""
POSITION_COLUMNS = ("ieta", "iphi")
"""Null in all rows of a table whose source has no jet positions."""


def schema_of(position: bool) -> pa.Schema:
    """Return the schema of a table, with or without known positions."""
    may_be_null = {name for name, dtype in JET_COLUMNS.items() if dtype.kind == "f"} - {"pt"} | set(QUARKS)
    may_be_null |= set() if position else set(POSITION_COLUMNS)
    return pa.schema(
        [pa.field(name, pa.list_(pa.field("element", pa.from_numpy_dtype(dtype), nullable=False)), nullable=False)
         for name, dtype in HIT_COLUMNS.items()]
        + [pa.field(name, pa.from_numpy_dtype(dtype), nullable=name in may_be_null)
           for name, dtype in JET_COLUMNS.items()]
    )  # fmt: skip


@dataclass
class JetBatch:
    """A batch of N jets. Units: GeV, cm, radians.

    Fields that are not listed here have one number per jet, (N,). Unknown values are NaN, also in integer columns.

    Attributes:
        offset: Offsets (N + 1,) of hits; jet i has the hits `offset[i] : offset[i + 1]`.
        pixel: row × (cells per side) + column of each hit on the layer's own grid, rows in η.
        layer: Index of each hit's layer in the layers of the table.
        value: Non-zero value of each hit.
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
    gen_jet_pt: np.ndarray
    gen_jet_mass: np.ndarray
    gen_softdrop_mass: np.ndarray
    pileup: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.event)

    def take(self, jets: np.ndarray) -> "JetBatch":
        """Return the jets at these indices, in this order."""
        offset, values = take_values(self.offset, jets)
        sparse = {name: getattr(self, name)[values] for name in HIT_COLUMNS}
        return JetBatch(offset, **sparse, **{name: getattr(self, name)[jets] for name in JET_COLUMNS})


def take_values(offset: np.ndarray, jets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Select the hits of some jets.

    Args:
        offset: Offsets (N + 1,) of all jets.
        jets: Indices (M,) of the selected jets.

    Returns:
        Offsets (M + 1,) of the selected jets, and the indices of their hits, jet by jet.
    """
    length = np.diff(offset)[jets]
    taken = np.concatenate([[0], np.cumsum(length)])
    return taken, np.arange(taken[-1]) + np.repeat(offset[jets] - taken[:-1], length)


def concat_jets(batches: Sequence[JetBatch]) -> JetBatch:
    """Concatenate batches."""
    offset = join_offsets([batch.offset for batch in batches])
    rest = {field.name: np.concatenate([getattr(b, field.name) for b in batches]) for field in fields(JetBatch)[1:]}
    return JetBatch(offset, **rest)


def join_offsets(offsets: Sequence[np.ndarray]) -> np.ndarray:
    """Return the offsets of concatenated batches."""
    return np.concatenate([[0], np.cumsum(np.concatenate([np.diff(offset) for offset in offsets]))])


def structural_errors(
    batch: JetBatch, layers: Sequence[Layer], needed: Sequence[str] = REQUIRED_COLUMNS
) -> Iterator[tuple[np.ndarray, str]]:
    """Yield each kind of invalid jet: the rows in order (at least one), and the error of the first row.

    Args:
        batch: Jets to check.
        layers: Layers of the batch.
        needed: Columns that must be finite.
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
    """Write a jet table with one row group per batch.

    Args:
        path: Output file.
        batches: Jets to write.
        layers: Layers of the jets.
        source: Origin of the jets, stored in the metadata.
        position: Whether `ieta` and `iphi` are known.
    """
    about = {
        "version": JET_TABLE_VERSION,
        "side": SIDE,
        "layers": [{"name": layer.name, "unit": layer.unit, "cell": layer.cell} for layer in layers],
        "source": source,
    }
    # Known positions are the default, because older tables always have them and lack this key.
    about |= {} if position else {"position": False}
    schema = schema_of(position).with_metadata({"topmass": json.dumps(about, sort_keys=True)})
    options = {"compression": "zstd", "use_dictionary": ["layer.list.element"], "write_page_checksum": True}
    with atomic_write(path) as part, pq.ParquetWriter(part, schema, **options) as writer:
        for batch in filter(len, batches):
            writer.write_table(_to_arrow(batch, schema), row_group_size=len(batch))


def _to_arrow(batch: JetBatch, schema: pa.Schema) -> pa.Table:
    offset = pa.array(batch.offset, pa.int32())
    columns = [
        pa.ListArray.from_arrays(
            offset, pa.array(getattr(batch, name).astype(dtype, copy=False)), schema.field(name).type
        )
        for name, dtype in HIT_COLUMNS.items()
    ]
    for name, dtype in JET_COLUMNS.items():
        values = getattr(batch, name)
        unknown = np.isnan(values) if schema.field(name).nullable else None
        with np.errstate(invalid="ignore"):
            columns.append(pa.array(values.astype(dtype, copy=False), mask=unknown))
    return pa.Table.from_arrays(columns, schema=schema)


class JetTable:
    """A jet table opened for reading.

    Args:
        path: The file.
        target: Column that is read as `mass`, the target of the regression; None to read the columns as they are.
            Jets without a generated jet are left out if it is the target.

    Attributes:
        layers: Layers of the table.
        position: Whether `ieta` and `iphi` are known.

    Raises:
        BadInput: The file is not a jet table, or not complete.
    """

    def __init__(self, path: Path, target: str | None = None) -> None:
        self.path, self.target = path, target
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
        if known != (JET_TABLE_VERSION, SIDE):
            raise BadInput(f"{path}: jet table of (version, side) {known}, this code reads {(JET_TABLE_VERSION, SIDE)}")
        self.schema = schema_of(self.position)
        for field in self.schema:
            if field.name not in self.file.schema_arrow.names:
                raise BadInput(f"{path}: no column '{field.name}'")
            if self.file.schema_arrow.names.count(field.name) > 1:
                raise BadInput(f"{path}: two columns '{field.name}': rename one")
            found = self.file.schema_arrow.field(field.name).type
            if not found.equals(field.type):
                raise BadInput(f"{path}: column '{field.name}' is {found}, not {field.type}")

    def __len__(self) -> int:
        return self.file.metadata.num_rows

    @property
    def source(self) -> dict:
        """Origin of the jets, from the metadata."""
        source = self.about.get("source")
        return source if isinstance(source, dict) else {}

    def batches(self) -> Iterator[JetBatch]:
        """Yield all jets in batches of at most one row group.

        Raises:
            BadInput: The file is damaged, or a jet is invalid or without `mass` although it is the target.
        """
        first_row = 0
        needed = REQUIRED_COLUMNS if self.target == "mass" else ("pt",)
        try:
            for rows in self.file.iter_batches(ROW_GROUP, use_threads=False):
                batch = _from_arrow(rows, self.schema)
                for at, flaw in structural_errors(batch, self.layers, needed):
                    raise BadInput(f"{self.path}: row {first_row + at[0]}: {flaw}")
                first_row += len(batch)
                if self.target in GENERATED_JET_MASSES:
                    batch.mass = getattr(batch, self.target)
                    batch = batch.take(np.flatnonzero(np.isfinite(batch.mass)))
                yield batch
        except DAMAGED as error:
            raise unreadable(error, self.path, f"damaged after row {first_row}") from None

    def columns(self, names: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        """Yield columns with one number per jet, in large batches.

        Raises:
            BadInput: The file is damaged.
        """
        try:
            source = {name: self.target if name == "mass" and self.target else name for name in names}
            for rows in self.file.iter_batches(50 * ROW_GROUP, columns=list(source.values()), use_threads=False):
                values = {name: _numbers(rows, column, self.schema) for name, column in source.items()}
                if self.target in GENERATED_JET_MASSES and "mass" in values:
                    matched = np.isfinite(values["mass"])
                    values = {name: column[matched] for name, column in values.items()}
                yield values
        except DAMAGED as error:
            raise unreadable(error, self.path, f"damaged in the columns {', '.join(names)}") from None


def _from_arrow(rows: pa.RecordBatch, schema: pa.Schema) -> JetBatch:
    start = rows["pixel"].offsets.to_numpy()
    if any(rows[name].null_count or rows[name].flatten().null_count for name in HIT_COLUMNS):
        raise pa.ArrowInvalid("pixel, layer or value is null")
    if any(
        not np.array_equal(rows[name].offsets.to_numpy() - rows[name].offsets[0].as_py(), start - start[0])
        for name in HIT_COLUMNS
    ):
        raise pa.ArrowInvalid("pixel, layer and value differ in length")
    sparse = {name: rows[name].flatten().to_numpy() for name in HIT_COLUMNS}
    per_jet = {name: _numbers(rows, name, schema) for name in JET_COLUMNS}
    return JetBatch((start - start[0]).astype(np.int64), **sparse, **per_jet)


def _numbers(rows: pa.RecordBatch, name: str, schema: pa.Schema) -> np.ndarray:
    if rows[name].null_count and not schema.field(name).nullable:
        raise pa.ArrowInvalid(f"{name} is null")
    values = rows[name].to_numpy(zero_copy_only=False)
    return values.astype(np.float32, copy=False) if schema.field(name).nullable else values
