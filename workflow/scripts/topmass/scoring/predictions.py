"""The table of predictions: one row a jet."""

from collections.abc import Iterable
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


@dataclass
class Predictions:
    """Generated and predicted mass of N jets, and what else is known of them. GeV; NaN where it is not.

    `ieta` is the number of the crystal in η, the last two count the quarks of the top, all as in the jet table.
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

    def save(self, path: Path) -> None:
        """Write as parquet."""
        write_predictions(path, [self])

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
        for name, dtype in COLUMNS.items():
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
        return predictions


def predicted_for(jets: Predictions, path: Path) -> np.ndarray:
    """What another file says of these very jets, (N,) GeV; BadInput if it is of others."""
    found = Predictions.load(path)
    if not found.same_jets(jets):
        jets_meant = f"the {len(jets.mass):,} jets, in their order, that the network's predictions are of"
        raise BadInput(f"{path}: not of {jets_meant}")
    return found.predicted


def write_predictions(path: Path, parts: Iterable[Predictions]) -> int:
    """Write all parts, one row group each, without holding more than one of them; the number of jets."""
    schema = pa.schema({name: pa.from_numpy_dtype(dtype) for name, dtype in COLUMNS.items()})
    options, jets = {"compression": "zstd", "write_page_checksum": True}, 0
    with whole(path) as part, pq.ParquetWriter(part, schema, **options) as writer:
        for each in parts:
            columns = {name: np.asarray(getattr(each, name), dtype) for name, dtype in COLUMNS.items()}
            writer.write_table(pa.table(columns))
            jets += len(columns["event"])
    return jets
