"""Somebody's parquet file of jets, dense or sparse, read as batches of a jet table."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from topmass.files import BadInput, damage
from topmass.jets import PER_JET, QUARKS, ROW_GROUP, SPARSE, JetBatch, join_offsets
from topmass.layers import Layer
from topmass.parquet import DAMAGED, open_parquet
from topmass.sources.checksum import record_of
from topmass.sources.columns import NEEDED, WELCOME, find_columns
from topmass.sources.content import CUT, mismatch_of
from topmass.sources.decoding import BadRow, lists, numbers
from topmass.sources.dense import to_sparse
from topmass.sources.images import images

DENSE_AT_ONCE = 8
"""Dense jets decoded at once: a megabyte each, as doubles; more of them do not stay in the processor's cache."""


class Source:
    """A parquet file of jets, opened; BadInput if it is none. `rounded` counts values that are no float32.

    Its `columns` are those that `find_columns` finds.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str],
        needed: Sequence[str] = NEEDED,
        welcome: Sequence[str] = WELCOME,
    ) -> None:
        self.path, self.rounded = path, 0
        check_content(path)
        self.file = open_parquet(path)
        self.columns = find_columns(path, self.file.schema_arrow.names, columns, needed, welcome)
        self.dense = "image" in self.columns
        self.per_jet = {name: column for name, column in self.columns.items() if name in PER_JET}

    def __len__(self) -> int:
        return self.file.metadata.num_rows

    @property
    def scalars(self) -> list[str]:
        """The names of all columns with one value a jet, be it a number or a text."""
        return [field.name for field in self.file.schema_arrow if not is_nested(field.type)]

    def batches(self, first: int, last: int, layers: Sequence[Layer]) -> Iterator[JetBatch]:
        """The jets of these rows, in row groups of a jet table; an event is the row if the file knows no better.

        `layers` are those of the images, in the order of the file. A layer that has coarse cells here is stored cell by
        cell; NotUniform if the file has other pixels. BadInput if a row cannot be read.
        """
        return (jets for jets, _ in self.batches_with(first, last, layers, ()))

    def batches_with(
        self, first: int, last: int, layers: Sequence[Layer], beside: Sequence[str]
    ) -> Iterator[tuple[JetBatch, pa.Table]]:
        """The same, and of each batch these columns of the file as they are."""
        values, known, length = [], [], 0
        names = list(dict.fromkeys([*self.per_jet.values(), *beside]))
        for row, rows in self.rows(first, last, beside):
            try:
                values.append(self.values(rows, layers))
                known.append(rows.select(names))
                length += len(rows)
                if length >= ROW_GROUP or row + len(rows) == last:
                    jets = self.assemble(values, known, row + len(rows) - length)
                    yield jets, pa.Table.from_batches(known).select(list(beside))
                    values, known, length = [], [], 0
            except BadRow as error:
                raise BadInput(f"{self.path}: row {row + error.row}: {error.why}") from None

    def rows(self, first: int, last: int, beside: Sequence[str] = ()) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Pieces of these rows, with columns `beside` those that are known, and the row that each begins with."""
        about = self.file.metadata
        begin = np.cumsum([0] + [about.row_group(i).num_rows for i in range(about.num_row_groups)])
        low, high = int(np.searchsorted(begin, first, side="right")) - 1, int(np.searchsorted(begin, last))
        reader = self.file.iter_batches(
            DENSE_AT_ONCE if self.dense else ROW_GROUP,
            row_groups=range(low, high) if first < last else [],
            columns=list(dict.fromkeys([*self.columns.values(), *beside])),
            use_threads=False,
        )
        row = int(begin[low])
        try:
            for rows in reader:
                start, end = max(first, row), min(last, row + len(rows))
                if start < end:
                    yield start, rows.slice(start - row, end - start)
                row += len(rows)
        except DAMAGED as error:
            raise damage(error, f"{self.path}: damaged after row {row}") from None

    def values(self, rows: pa.RecordBatch, layers: Sequence[Layer]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Offsets and the arrays of SPARSE."""
        if self.dense:
            column = self.columns["image"]
            about = (rows.schema.field(column).metadata or {}).get(b"ARROW:extension:metadata", b"").decode("latin-1")
            offset, sparse = to_sparse(images(rows[column], len(layers), about), layers)
        else:
            offset, sparse = lists({name: rows[self.columns[name]] for name in SPARSE})
        with np.errstate(over="ignore"):
            value = sparse["value"].astype(SPARSE["value"])
        self.rounded += np.count_nonzero(value != sparse["value"]) - np.count_nonzero(np.isnan(value))
        return offset, sparse | {"value": value}

    def assemble(self, values: Sequence, known: Sequence[pa.RecordBatch], first: int) -> JetBatch:
        """One batch of the values and numbers of consecutive rows from row `first` on."""
        table = pa.Table.from_batches(known).select(list(self.per_jet.values())).combine_chunks()
        jets = sum(len(offset) - 1 for offset, _ in values)
        per_jet = {"event": first + np.arange(jets)}
        for name, dtype in PER_JET.items():
            if name in self.per_jet:
                column = table[self.per_jet[name]].combine_chunks()
                try:
                    # As what may be null.
                    per_jet[name] = numbers(column, np.dtype("f4") if name in QUARKS else dtype, name)
                except BadRow as error:
                    raise BadInput(f"{self.path}: row {first + error.row}: {error.why}") from None
            elif name not in per_jet:
                per_jet[name] = np.full(jets, np.nan, np.float32)
        sparse = {name: np.concatenate([part[name] for _, part in values]) for name in SPARSE}
        return JetBatch(join_offsets([offset for offset, _ in values]), **sparse, **per_jet)


def is_nested(kind: pa.DataType) -> bool:
    """Whether values of this type are made of several: lists, structures, tensors."""
    return is_nested(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else pa.types.is_nested(kind)


def check_content(path: Path) -> None:
    """Raise `BadInput` with the kind of what is no parquet file; OSError if it cannot be opened."""
    if other := mismatch_of(path, f"{path.stem}.parquet"):
        words = other.words if other is CUT else f"not a parquet file but {other.words}"
        remove = shlex.join(["rm", str(path), str(record_of(path))])
        remedy = f"; if it has been downloaded here, `{remove}` has it fetched anew" if record_of(path).exists() else ""
        raise BadInput(f"{path}: {words}: {other.advice}{remedy}")
