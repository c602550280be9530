"""Results of the fits of the top mass: the JSON file, its rows, and CSV."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from topmass.evaluation.fit_samples import BY_WIDTH, GENERATED
from topmass.evaluation.results_file import read_results
from topmass.evaluation.score import TITLES

FIT_VERSION = 1
FIT_TITLES = TITLES | {
    BY_WIDTH: "network, three categories of interval width",
    GENERATED: "soft-drop mass of generated jets",
}


def read_fit(path: Path) -> dict:
    """Load the results of `fit_top_mass`; BadInput if the file has another form or version."""
    return read_results(path, "top-mass fits", FIT_VERSION, lambda content: content["fits"][0]["sigma"]["value"])


def fit_rows(fits: Iterable[Mapping]) -> list[dict]:
    """Return one row per number of each fit: estimator, background, quantity, variation, true mass, value, error."""
    rows = []
    for fit in fits:
        numbers = [("statistical error", "", "", fit["sigma"])]
        numbers += [("closure", "", entry["true"], entry) for entry in fit["closure"]]
        numbers += [("nominal closure", "", "", fit["nominal"])]
        numbers += [("shift", name, "", entry) for name, entry in fit["shifts"].items()]
        numbers += [("quadratic sum of shifts", "", "", fit["quadratic_sum"])]
        for quantity, variation, true, entry in numbers:
            row = {"estimator": fit["estimator"], "background": fit["background"], "quantity": quantity}
            row |= {"variation": variation, "true": true}
            rows.append(row | ((entry and {key: entry[key] for key in ("value", "error")}) or {}))
    return rows


def fit_csv(content: Mapping) -> str:
    """Return all numbers as CSV in HEPData's form: names with units, a value, and its errors in two directions."""
    table = pd.DataFrame(fit_rows(content["fits"]))
    columns = {
        "ESTIMATOR": table["estimator"].map(FIT_TITLES),
        "BACKGROUND": np.where(table["background"], "free", "none"),
        "QUANTITY": table["quantity"],
        "VARIATION": table["variation"],
        "TRUE MASS [GEV]": table["true"],
        "VALUE [GEV]": table["value"],
        "simulation +": table["error"],
        "simulation -": -table["error"],
    }
    header = f"#: name: Fit of the top mass\n#: description: statistical errors for {content['jets']:,} jets\n"
    return header + pd.DataFrame(columns).to_csv(index=False, float_format="%.4f", lineterminator="\n")
