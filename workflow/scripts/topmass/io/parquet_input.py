"""Reader of a user's parquet file, dense or sparse, as batches of jets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from topmass.files import BadInput
from topmass.io.columns import COMMAND_LINE_OPTIONS, OPTIONAL, REQUIRED, find_columns
from topmass.io.content_type import check_content
from topmass.io.decoding import BadRow, images_from_column, is_numeric_type, lists, normalize_type, to_numeric
from topmass.io.dense_images import to_sparse
from topmass.jets import HIT_COLUMNS, JET_COLUMNS, QUARKS, ROW_GROUP, JetBatch, JetTable, join_offsets
from topmass.layers import Layer
from topmass.parquet import DAMAGED, open_parquet, unreadable

DENSE_AT_ONCE = 8
"""Dense jets decoded at a time: one megabyte each, as float64; more of them exceed the processor's cache."""
SAMPLED = 500
"""Maximum number of row groups in a sample."""


class ParquetInput:
    """A user's parquet file of jets, opened for reading.

    Attributes:
        columns: Columns of the file by name in the jet table, from `find_columns`.
        settings: Names of the user's settings, for messages.
        dense: Whether the file has dense images.
        per_jet: The part of `columns` with one number per jet.
        rounded: Number of values read so far that float32 does not represent exactly.
        computed: Quantities that are computed from others: none.
        recorded_layers: Layers of a jet table of topmass; empty for other files, which do not record them.
        jets_per_entry: Whether a row is an event with a list of jets, instead of one jet.

    Raises:
        BadInput: The file is not a parquet file of jets.
    """

    computed = ()
    jets_per_entry = False

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str],
        needed: Sequence[str] = REQUIRED,
        welcome: Sequence[str] = OPTIONAL,
        settings: Mapping[str, str] = COMMAND_LINE_OPTIONS,
    ) -> None:
        self.path, self.rounded, self.settings = path, 0, settings
        check_content(path, f"{path.stem}.parquet")
        self.file = open_parquet(path)
        self.columns = find_columns(path, self.file.schema_arrow.names, columns, needed, welcome, settings)
        self.dense = "image" in self.columns
        self.per_jet = {name: column for name, column in self.columns.items() if name in JET_COLUMNS}
        is_table = not self.dense and b"topmass" in (self.file.schema_arrow.metadata or {})
        self.recorded_layers: tuple[Layer, ...] = JetTable(path).layers if is_table else ()

    def __len__(self) -> int:
        return self.file.metadata.num_rows

    @property
    def scalars(self) -> list[pa.Field]:
        """All columns with one value per jet, number or text."""
        fields = self.file.schema_arrow
        return [field for field in fields if not is_nested(field.type) and field.name != self.columns.get("image")]

    def batches(self, first: int, last: int, layers: Sequence[Layer]) -> Iterator[JetBatch]:
        """Yield the batches of `batches_with`, without further columns."""
        return (jets for jets, _ in self.batches_with(first, last, layers, ()))

    def batches_with(
        self, first: int, last: int, layers: Sequence[Layer], extra: Sequence[str]
    ) -> Iterator[tuple[JetBatch, pa.Table]]:
        """Yield the jets of some rows, in row groups of a jet table, each with further columns of the file, unchanged.

        The event is the row number if the file has no event column. A layer with coarse cells is stored per cell.

        Args:
            first: First row.
            last: Row after the last one.
            layers: Layers of the images, in the order of the file.
            extra: Names of the further columns.

        Raises:
            BadInput: A row cannot be read.
            NotUniform: The pixels of a coarse cell differ.
        """
        values, columns, length = [], [], 0
        names = list(dict.fromkeys([*self.per_jet.values(), *extra]))
        for row, rows in self.rows(first, last, extra):
            try:
                values.append(self.values(rows, layers))
                columns.append(rows.select(names))
                length += len(rows)
                if length >= ROW_GROUP or row + len(rows) == last:
                    jets = self.assemble(values, columns, row + len(rows) - length)
                    yield jets, pa.Table.from_batches(columns).select(list(extra))
                    values, columns, length = [], [], 0
            except BadRow as error:
                raise BadInput(f"{self.path}: row {row + error.row}: {error.why}") from None

    def sample(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return values (N,) of at most about 50,000 jets from all parts of the file, by name in the jet table.

        Names without a numeric column are omitted. Empty if the file is damaged: `batches` reports the damaged rows.
        """
        pieces: dict[str, list[np.ndarray]] = {name: [] for name in names if name in self.per_jet}
        groups = self.file.metadata.num_row_groups
        if not groups:
            return {}
        sampled = np.unique(np.linspace(0, groups - 1, SAMPLED).astype(int)).tolist()
        step = -(-len(self) * len(sampled) // (groups * SAMPLED * 100))
        try:
            columns = [self.per_jet[name] for name in pieces]
            for rows in self.file.iter_batches(50 * ROW_GROUP, sampled, columns, use_threads=False):
                for name, arrays in pieces.items():
                    column = normalize_type(rows[self.per_jet[name]])
                    if is_numeric_type(column.type):
                        arrays.append(column.to_numpy(zero_copy_only=False)[::step])
        except DAMAGED:
            return {}
        return {name: np.concatenate(arrays) for name, arrays in pieces.items() if arrays}

    def rows(self, first: int, last: int, extra: Sequence[str] = ()) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield pieces of rows `first` to `last` and the number of their first row; includes the columns `extra`."""
        metadata = self.file.metadata
        group_start = np.cumsum([0] + [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)])
        low, high = int(np.searchsorted(group_start, first, side="right")) - 1, int(np.searchsorted(group_start, last))
        reader = self.file.iter_batches(
            DENSE_AT_ONCE if self.dense else ROW_GROUP,
            row_groups=range(low, high) if first < last else [],
            columns=list(dict.fromkeys([*self.columns.values(), *extra])),
            use_threads=False,
        )
        row = int(group_start[low])
        try:
            for rows in reader:
                start, end = max(first, row), min(last, row + len(rows))
                if start < end:
                    yield start, rows.slice(start - row, end - start)
                row += len(rows)
        except DAMAGED as error:
            raise unreadable(error, self.path, f"damaged after row {row}") from None

    def values(self, rows: pa.RecordBatch, layers: Sequence[Layer]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the offsets and the arrays of `HIT_COLUMNS`; update `rounded`."""
        if self.dense:
            column = self.columns["image"]
            offset, sparse = to_sparse(
                images_from_column(rows[column], len(layers), axes_of(rows.schema.field(column))), layers
            )
        else:
            offset, sparse = lists({name: rows[self.columns[name]] for name in HIT_COLUMNS})
        with np.errstate(over="ignore"):
            value = sparse["value"].astype(HIT_COLUMNS["value"])
        self.rounded += np.count_nonzero(value != sparse["value"]) - np.count_nonzero(np.isnan(value))
        return offset, sparse | {"value": value}

    def assemble(self, values: Sequence, columns: Sequence[pa.RecordBatch], first: int) -> JetBatch:
        """Combine consecutive rows, the first of which is row `first`, into one batch."""
        table = pa.Table.from_batches(columns).select(list(self.per_jet.values())).combine_chunks()
        jets = sum(len(offset) - 1 for offset, _ in values)
        per_jet = {"event": first + np.arange(jets)}
        for name, dtype in JET_COLUMNS.items():
            if name in self.per_jet:
                column = table[self.per_jet[name]].combine_chunks()
                try:
                    # Quark counts may be null, hence float.
                    per_jet[name] = to_numeric(column, np.dtype("f4") if name in QUARKS else dtype, name)
                except BadRow as error:
                    raise BadInput(f"{self.path}: row {first + error.row}: {error.why}") from None
            elif name not in per_jet:
                per_jet[name] = np.full(jets, np.nan, np.float32)
        sparse = {name: np.concatenate([part[name] for _, part in values]) for name in HIT_COLUMNS}
        return JetBatch(join_offsets([offset for offset, _ in values]), **sparse, **per_jet)


def axes_of(field: pa.Field) -> str:
    """Return the metadata of a column's extension type if it can concern the order of axes, else an empty string."""
    metadata = field.metadata or {}
    # Awkward Array describes lists and missing values in it, never axes.
    if metadata.get(b"ARROW:extension:name") == b"awkward":
        return ""
    return metadata.get(b"ARROW:extension:metadata", b"").decode("latin-1")


def is_nested(kind: pa.DataType) -> bool:
    """Return whether values of this type are nested: lists, structs, tensors."""
    return is_nested(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else pa.types.is_nested(kind)
