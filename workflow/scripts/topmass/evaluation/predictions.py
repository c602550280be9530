"""Table of predictions, one row per jet."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from topmass.files import BadInput, atomic_write, classify_read_error
from topmass.jets import QUARKS
from topmass.parquet import DAMAGED, open_parquet

PREDICTION_COLUMNS = {
    "event": np.dtype("i8"),
    **dict.fromkeys(("mass", "predicted", "pt", "ieta", "jet_mass", "softdrop_mass", *QUARKS), np.dtype("f4")),
}
TRUTH_COLUMNS = tuple(name for name in PREDICTION_COLUMNS if name != "predicted")
"""Columns copied from the shards."""
JET_KEY = ("event", "mass", "pt")
"""Columns that identify a jet; the event number alone may repeat between samples."""
INTERVAL_COLUMNS = {"low": np.dtype("f4"), "high": np.dtype("f4")}
"""Optional columns of intervals; the metadata of the table contains their two quantiles."""


@dataclass
class Intervals:
    """Predicted interval from `low` to `high` (N,) GeV of each jet's mass, the two `quantiles` of the prediction."""

    low: np.ndarray
    high: np.ndarray
    quantiles: tuple[float, float]

    @property
    def level(self) -> float:
        """Nominal coverage."""
        return round(self.quantiles[1] - self.quantiles[0], 9)


@dataclass
class Predictions:
    """Generated and predicted masses of N jets, with jet properties as in the jet table; NaN where unknown.

    Attributes:
        event: Event number, (N,).
        mass: Generated mass (N,) in GeV.
        predicted: Predicted mass (N,) in GeV.
        pt: Jet pT (N,) in GeV.
        ieta: Index of the crystal in η, (N,).
        jet_mass: Jet mass (N,) in GeV.
        softdrop_mass: Soft-drop mass (N,) in GeV.
        quarks_in_window: Number of the top's three quarks in the image window, (N,).
        quarks_in_jet: Number of the top's three quarks in the jet, (N,).
        intervals: Predicted intervals; None if only the mass is predicted.
        model: Digest of the model file; empty for other estimators.
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
    model: str = ""

    def save(self, path: Path) -> None:
        """Write the predictions as parquet."""
        write_predictions(path, [self], self.intervals.quantiles if self.intervals else (), self.model)

    def same_jets(self, other: "Predictions") -> bool:
        """Return whether the other predictions are for the same jets in the same order."""
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in JET_KEY)

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Load predictions from parquet.

        Raises:
            BadInput: If the file is damaged, lacks a column, has no jet or has a mass or prediction that is not finite.
        """
        file = open_parquet(path)
        try:
            table = file.read(use_threads=False)
        except DAMAGED as error:
            raise classify_read_error(error, f"{path}: damaged") from None
        has_intervals = any(name in table.column_names for name in INTERVAL_COLUMNS)
        for name, dtype in (PREDICTION_COLUMNS | (INTERVAL_COLUMNS if has_intervals else {})).items():
            if name not in table.column_names:
                raise BadInput(f"{path}: no column '{name}'")
            if table[name].type != pa.from_numpy_dtype(dtype) or (dtype.kind == "i" and table[name].null_count):
                raise BadInput(f"{path}: column '{name}' is {table[name].type}, or null, instead of {dtype}")
        predictions = cls(**{name: table[name].to_numpy() for name in PREDICTION_COLUMNS})
        predictions.model = (table.schema.metadata or {}).get(b"model", b"").decode()
        for name in ("mass", "predicted"):
            invalid = ~np.isfinite(getattr(predictions, name))
            if invalid.any():
                raise BadInput(f"{path}: row {int(np.argmax(invalid))}: {name} is not finite")
        if not len(predictions.mass):
            raise BadInput(f"{path}: no jet")
        if has_intervals:
            predictions.intervals = read_intervals(table, path)
        return predictions


def read_intervals(table: pa.Table, path: Path) -> Intervals:
    """Return the intervals of a table with the columns `low` and `high`; `path` is its file.

    Raises:
        BadInput: If an interval is invalid or the metadata does not contain the two quantiles.
    """
    try:
        first, last = map(float, json.loads((table.schema.metadata or {})[b"quantiles"]))
    except (KeyError, TypeError, ValueError):
        raise BadInput(f"{path}: the metadata lacks 'quantiles', the two quantiles of 'low' and 'high'") from None
    low, high = (table[name].to_numpy() for name in INTERVAL_COLUMNS)
    invalid = ~(np.isfinite(low) & np.isfinite(high) & (low <= high))
    if invalid.any():
        raise BadInput(f"{path}: row {int(np.argmax(invalid))}: low and high are no interval")
    if not 0 < first < last < 1:
        raise BadInput(f"{path}: quantiles {first:g} and {last:g} are no interval")
    return Intervals(low, high, (first, last))


def load_predicted(jets: Predictions, path: Path) -> np.ndarray:
    """Return the predictions (N,) in GeV of another file; BadInput if it has other jets or another order."""
    other = Predictions.load(path)
    if not other.same_jets(jets):
        raise BadInput(f"{path}: expected the same {len(jets.mass):,} jets, in the same order, as for the network")
    return other.predicted


def write_predictions(
    path: Path, parts: Iterable[Predictions], quantiles: Sequence[float] = (), model: str = ""
) -> int:
    """Write all parts, one row group and one part in memory at a time, and return the number of jets.

    Args:
        path: File to write.
        parts: Predictions for consecutive jets.
        quantiles: Lower and upper quantile if all parts have intervals, else empty.
        model: Digest of the model file, as in `Predictions`.
    """
    types = PREDICTION_COLUMNS | (INTERVAL_COLUMNS if quantiles else {})
    metadata = {"model": model} | ({"quantiles": json.dumps(quantiles)} if quantiles else {})
    schema = pa.schema({name: pa.from_numpy_dtype(dtype) for name, dtype in types.items()}, metadata)
    options, jets = {"compression": "zstd", "write_page_checksum": True}, 0
    with atomic_write(path) as temporary, pq.ParquetWriter(temporary, schema, **options) as writer:
        for part in parts:
            values = vars(part) | (vars(part.intervals) if quantiles else {})
            columns = {name: np.asarray(values[name], dtype) for name, dtype in types.items()}
            writer.write_table(pa.table(columns))
            jets += len(columns["event"])
    return jets
