"""Calibration of predicted masses with a correction of correctionlib."""

from pathlib import Path

import correctionlib
import numpy as np
import pyarrow as pa

from topmass.evaluation.response_correction import CORRECTION
from topmass.files import BadInput, file_digest
from topmass.layers import PIXEL_ETA

UNKNOWN_MODEL = "model unknown"
"""Part of the description of a correction whose model is not recorded."""


class MassCalibration:
    """Calibration from a JSON file of the stage `calibrate`.

    Args:
        path: JSON file.
        model: Model whose masses are calibrated.

    Attributes:
        digest: Digest of the file.

    Raises:
        BadInput: The file is no calibration, or that of another model.
    """

    def __init__(self, path: Path, model: Path) -> None:
        # correctionlib does not raise an OSError for a missing file.
        path.open("rb").close()
        self.path, self.digest = path, file_digest(path)
        try:
            self.correction = correctionlib.CorrectionSet.from_file(str(path))[CORRECTION]
        except (RuntimeError, IndexError, ValueError) as error:
            fix = "to fix: give a file of the rule calibrate"
            raise BadInput(f"{path}: no correction '{CORRECTION}' ({' '.join(str(error).split())}); {fix}") from None
        about = self.correction.description
        if UNKNOWN_MODEL not in about and f"model {file_digest(model)}" not in about:
            expected = f"expected one of the model {file_digest(model)}"
            raise BadInput(f"{path}: '{about}'; {expected}; to fix: give the calibration of {model}")

    def check_columns(self, jets: pa.Schema, path: Path) -> None:
        """Raise BadInput if jets with these columns, from the file `path`, have no pT or η."""
        for names in (("pt",), ("eta", "ieta")):
            if not set(names) & set(jets.names):
                problem = f"no column '{names[0]}', and the calibration {self.path} requires it"
                raise BadInput(f"{path}: {problem}; to fix: rename the column, or leave the calibration out")

    def calibrate(self, predicted: np.ndarray, jets: pa.Table) -> np.ndarray:
        """Return the calibrated masses (N,) float32 in GeV; NaN for jets with unknown pT or η.

        Args:
            predicted: Predicted masses (N,), GeV.
            jets: Columns of the jets: `pt`, and `eta` or, where it is unknown, `ieta`.
        """
        columns = {name: to_floats(jets[name]) for name in ("pt", "eta", "ieta") if name in jets.column_names}
        unknown = np.full(len(predicted), np.nan)
        eta = columns.get("eta", unknown)
        abs_eta = np.abs(np.where(np.isfinite(eta), eta, columns.get("ieta", unknown) * PIXEL_ETA))
        known = np.isfinite(columns["pt"] + abs_eta)
        factor = unknown
        factor[known] = self.correction.evaluate(columns["pt"][known], abs_eta[known], "nominal")
        return (predicted * factor).astype(np.float32)


def to_floats(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers (N,) as float64; null is NaN."""
    return column.cast(pa.float64()).to_numpy()
