"""The table of predictions: one row a jet."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from topmass.files import BadInput, damage, whole
from topmass.jets import QUARKS
from topmass.parquet import DAMAGED, open_parquet

COLUMNS = {
    "event": np.dtype("i8"),
    **dict.fromkeys(("mass", "predicted", "pt", "ieta", "jet_mass", "softdrop_mass", *QUARKS), np.dtype("f4")),
}
KNOWN = tuple(name for name in COLUMNS if name != "predicted")
"""What is copied from the shards."""
ENDS = {"low": np.dtype("f4"), "high": np.dtype("f4")}
"""Columns of intervals, only where there are any; the quantiles that they are lie in the metadata of the table."""


@dataclass
class Intervals:
    """Where the mass of each of N jets is to be found, from `low` to `high` (N,) GeV: these two of its quantiles."""

    low: np.ndarray
    high: np.ndarray
    quantiles: tuple[float, float]

    @property
    def level(self) -> float:
        """The share of the jets whose mass is to lie between."""
        return round(self.quantiles[1] - self.quantiles[0], 9)


@dataclass
class Predictions:
    """Generated and predicted mass of N jets, and what else is known of them. GeV; NaN where it is not.

    `ieta` is the number of the crystal in η; quarks of the top are counted, all as in the jet table. `intervals` are
    None where the mass alone is predicted.
    """

    event: np.ndarray
    mass: np.ndarray
    predicted: np.ndarray
    pt: np.ndarray
    ieta: np.ndarray
    jet_mass: np.ndarray
    softdrop_mass: np.ndarray
    quarks_in_window: np.ndarray
    quarks_in_jet: np.ndarray
    intervals: Intervals | None = None

    def save(self, path: Path) -> None:
        """Write as parquet."""
        write_predictions(path, [self], self.intervals.quantiles if self.intervals else ())

    def same_jets(self, other: "Predictions") -> bool:
        """Whether the other predictions are of these very jets, in the same order."""
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in ("event", "mass", "pt"))

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read; BadInput if the file is damaged, lacks a column, is empty, or predicts something not finite."""
        file = open_parquet(path)
        try:
            table = file.read(use_threads=False)
        except DAMAGED as error:
            raise damage(error, f"{path}: damaged") from None
        with_ends = any(name in table.column_names for name in ENDS)
        for name, dtype in (COLUMNS | (ENDS if with_ends else {})).items():
            if name not in table.column_names:
                raise BadInput(f"{path}: no column '{name}'")
            if table[name].type != pa.from_numpy_dtype(dtype) or (dtype.kind == "i" and table[name].null_count):
                raise BadInput(f"{path}: column '{name}' is {table[name].type}, or null, instead of {dtype}")
        predictions = cls(**{name: table[name].to_numpy() for name in COLUMNS})
        for name in ("mass", "predicted"):
            wrong = ~np.isfinite(getattr(predictions, name))
            if wrong.any():
                raise BadInput(f"{path}: row {int(np.argmax(wrong))}: {name} is not finite")
        if not len(predictions.mass):
            raise BadInput(f"{path}: no jet")
        if with_ends:
            predictions.intervals = intervals_of(table, path)
        return predictions


def intervals_of(table: pa.Table, path: Path) -> Intervals:
    """What a table says of intervals; BadInput if an end is none, or it is not told which quantiles they are."""
    try:
        first, last = map(float, json.loads((table.schema.metadata or {})[b"quantiles"]))
    except (KeyError, TypeError, ValueError):
        raise BadInput(f"{path}: 'quantiles' of the metadata does not say which two 'low' and 'high' are") from None
    low, high = (table[name].to_numpy() for name in ENDS)
    wrong = ~(np.isfinite(low) & np.isfinite(high) & (low <= high))
    if wrong.any():
        raise BadInput(f"{path}: row {int(np.argmax(wrong))}: low and high are no interval")
    if not 0 < first < last < 1:
        raise BadInput(f"{path}: quantiles {first:g} and {last:g} are no interval")
    return Intervals(low, high, (first, last))


def predicted_for(jets: Predictions, path: Path) -> np.ndarray:
    """What another file says of these very jets, (N,) GeV; BadInput if it is of others."""
    found = Predictions.load(path)
    if not found.same_jets(jets):
        jets_meant = f"the {len(jets.mass):,} jets, in their order, that the network's predictions are of"
        raise BadInput(f"{path}: not of {jets_meant}")
    return found.predicted


def write_predictions(path: Path, parts: Iterable[Predictions], quantiles: Sequence[float] = ()) -> int:
    """Write all parts, one row group each, without holding more than one of them; the number of jets.

    With `quantiles`, the lower and the upper one, all parts have intervals of these.
    """
    types = COLUMNS | (ENDS if quantiles else {})
    about = {"quantiles": json.dumps(quantiles)} if quantiles else None
    schema = pa.schema({name: pa.from_numpy_dtype(dtype) for name, dtype in types.items()}, about)
    options, jets = {"compression": "zstd", "write_page_checksum": True}, 0
    with whole(path) as part, pq.ParquetWriter(part, schema, **options) as writer:
        for each in parts:
            known = vars(each) | (vars(each.intervals) if quantiles else {})
            columns = {name: np.asarray(known[name], dtype) for name, dtype in types.items()}
            writer.write_table(pa.table(columns))
            jets += len(columns["event"])
    return jets
