"""Estimates of the mass of the jets of an evaluation sample, from the file of `predict_sample`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from topmass.console import log_info
from topmass.evaluation.predictions import Intervals, read_intervals
from topmass.files import BadInput, classify_read_error
from topmass.parquet import DAMAGED, open_parquet

ESTIMATE_COLUMNS = {
    "network": "predicted",
    "trees_subjets": "gbdt_subjets",
    "trees_image": "gbdt",
    "softdrop_mass": "softdrop_mass",
    "jet_mass": "jet_mass",
}
"""Column of each estimator."""


@dataclass(frozen=True)
class SampleJets:
    """Estimates of the masses of N jets.

    Attributes:
        event: Event number, (N,).
        pt: Jet pT (N,) in GeV.
        mass: Truth (N,) in GeV; None if it is unknown.
        weight: Weight of each jet, (N,); None if all weights are 1.
        estimates: Masses (N,) in GeV by estimator, without estimators that are unknown for some jets.
        intervals: Intervals of the network; None if it predicts only the mass.
        model: Digest of the model file.
    """

    event: np.ndarray
    pt: np.ndarray
    mass: np.ndarray | None
    weight: np.ndarray | None
    estimates: Mapping[str, np.ndarray]
    intervals: Intervals | None
    model: str

    @classmethod
    def load(cls, path: Path, target: str = "mass") -> "SampleJets":
        """Load the file of `predict_sample`.

        Args:
            path: The file.
            target: Column of the truth. If it is known for some jets only, the others are left out.

        Raises:
            BadInput: If the file is damaged, lacks a column, has no jet or has invalid numbers.
        """
        table = read_sample(path)
        known = np.isfinite(column(table, target))
        if known.any() and not known.all():
            log_info(f"{path}: {np.count_nonzero(~known):,} of {len(table):,} jets without {target} are left out")
            table = table.filter(pa.array(known))
        return cls.from_table(table, path, target)

    @classmethod
    def from_table(cls, table: pa.Table, path: Path, target: str = "mass") -> "SampleJets":
        """Return all jets of a table of `read_sample`; the arguments are those of `load`.

        Raises:
            BadInput: If a weight is negative, a predicted mass is not finite, or an interval is invalid.
        """
        weight, truth = column(table, "weight"), column(table, target)
        wrong = np.flatnonzero(weight < 0)
        if len(wrong):
            raise BadInput(f"{path}: row {wrong[0]}: weight is {weight[wrong[0]]:g}; expected zero or more")
        # The weight of a jet of unknown weight is 1.
        weight = np.where(np.isfinite(weight), weight, 1)
        estimates = {name: column(table, source) for name, source in ESTIMATE_COLUMNS.items()}
        if len(wrong := np.flatnonzero(~np.isfinite(estimates["network"]))):
            raise BadInput(f"{path}: row {wrong[0]}: the predicted mass is not finite ({len(wrong):,} jets)")
        return cls(
            event=table["event"].to_numpy(),
            pt=column(table, "pt"),
            mass=truth if np.isfinite(truth).all() else None,
            weight=None if (weight == weight[0]).all() else weight,
            estimates={name: values for name, values in estimates.items() if np.isfinite(values).all()},
            intervals=read_intervals(table, path) if "low" in table.column_names else None,
            model=(table.schema.metadata or {}).get(b"model", b"").decode(),
        )

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """Return the weights (N,) of these jets; 1 if all weights are 1."""
        return np.ones(len(rows)) if self.weight is None else self.weight[rows]


def read_sample(path: Path, columns: Sequence[str] = ()) -> pa.Table:
    """Load the table of the file of `predict_sample`.

    Args:
        path: The file.
        columns: Columns that it must have, in addition to those of each prediction.

    Raises:
        BadInput: If the file is damaged, lacks a column or has no jet.
    """
    try:
        table = open_parquet(path).read(use_threads=False)
    except DAMAGED as error:
        raise classify_read_error(error, f"{path}: damaged") from None
    for name in ("event", "pt", "predicted", *columns):
        if name not in table.column_names:
            raise BadInput(f"{path}: no column '{name}'; expected a file of the stage predict_sample")
    if not len(table):
        raise BadInput(f"{path}: no jet")
    return table


def column(table: pa.Table, name: str) -> np.ndarray:
    """Return a column (N,) as float64; NaN where it is null or absent."""
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return table[name].to_numpy().astype(np.float64)


def effective_number(weight: np.ndarray) -> float:
    """Return the number of jets without weights that has the same relative error: (Σw)² / Σw² of these weights (N,)."""
    return effective_from(weight.sum(), np.square(weight).sum())


def effective_from(total: float, square: float) -> float:
    """Return the effective number of jets from the sums of their weights and of the squares; 0 without weights."""
    return float(total**2 / square) if square else 0.0
