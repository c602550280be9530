"""Correction of the predicted mass by its median response, in the format of correctionlib."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from topmass.evaluation.sample_jets import effective_number
from topmass.files import BadInput

CORRECTION = "topmass_response"
"""Name of the correction."""
ETA_BINS = (0.0, 0.9, 1.4, 2.0)
"""Edges of |η|: the barrel of the tracker, its transition region, and its endcaps."""
MIN_JETS = 100
"""Minimum number of jets in a bin, of effective jets if they have weights."""
VARIATIONS = {"nominal": 0, "up": 1, "down": -1}
"""Shift of the factor in units of its statistical error, by the name of the variation."""


class Response(NamedTuple):
    """Median response of jets.

    Attributes:
        jets: Effective number of jets, (Σw)² / Σw².
        median: Weighted median of predicted / generated mass; NaN without jets.
        error: Statistical error of the median.
    """

    jets: float
    median: float
    error: float


def median_response(ratio: np.ndarray, weight: np.ndarray) -> Response:
    """Return the weighted median of the ratios (N,) of predicted and generated mass.

    The error is half the distance between the quantiles that are one standard deviation of the binomial distribution
    below and above the median.
    """
    jets = effective_number(weight)
    if jets < 1:
        return Response(jets, np.nan, np.nan)
    order = np.argsort(ratio)
    # Centre of each jet's step of the cumulative distribution.
    level = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    shift = 0.5 / np.sqrt(jets)
    low, median, high = np.interp([0.5 - shift, 0.5, 0.5 + shift], level, ratio[order])
    return Response(jets, median, (high - low) / 2)


def bin_index(values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Return the bin of each value; the first and the last bin include all values below and above them."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def measure_responses(
    ratio: np.ndarray, pt: np.ndarray, abs_eta: np.ndarray, weight: np.ndarray, pt_bins: Sequence[float]
) -> tuple[list[list[Response]], Response]:
    """Return the response in bins of pT and of |η| (`ETA_BINS`), and that of all jets.

    Args:
        ratio: Predicted / generated mass (N,).
        pt: pT (N,) of the jets, GeV.
        abs_eta: |η| (N,) of the jets.
        weight: Weight (N,) of the jets.
        pt_bins: Edges of the bins of pT, GeV.
    """
    of_pt, of_eta = bin_index(pt, pt_bins), bin_index(abs_eta, ETA_BINS)
    responses = [
        [
            median_response(ratio[chosen], weight[chosen])
            for eta_bin in range(len(ETA_BINS) - 1)
            for chosen in [(of_pt == pt_bin) & (of_eta == eta_bin)]
        ]
        for pt_bin in range(len(pt_bins) - 1)
    ]
    return responses, median_response(ratio, weight)


def correction_set(factors: np.ndarray, errors: np.ndarray, pt_bins: Sequence[float], description: str) -> dict:
    """Return the content of the JSON file of correctionlib, schema version 2.

    Args:
        factors: Factors (pT bins, |η| bins) of the predicted mass.
        errors: Their statistical errors, of the same shape.
        pt_bins: Edges of the bins of pT, GeV.
        description: Description of the correction with its sample and model.
    """
    variations = [
        {
            "key": name,
            "value": {
                "nodetype": "multibinning",
                "inputs": ["pt", "abs_eta"],
                "edges": [[float(edge) for edge in pt_bins], [*ETA_BINS]],
                "content": [float(value) for value in (factors + shift * errors).ravel()],
                "flow": "clamp",
            },
        }
        for name, shift in VARIATIONS.items()
    ]
    inputs = [
        {"name": "pt", "type": "real", "description": "pT of the jet, GeV"},
        {"name": "abs_eta", "type": "real", "description": "absolute pseudorapidity of the jet"},
        {"name": "variation", "type": "string", "description": "nominal, or up, down: by one statistical error"},
    ]
    correction = {
        "name": CORRECTION,
        "description": description,
        "version": 1,
        "inputs": inputs,
        "output": {"name": "factor", "type": "real", "description": "calibrated mass = factor × predicted mass"},
        "data": {"nodetype": "category", "input": "variation", "content": variations},
    }
    return {"schema_version": 2, "description": "Calibration of a network of topmass", "corrections": [correction]}


def factors_of(
    responses: Sequence[Sequence[Response]], of_all: Response
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Return the factors and their errors (pT bins, |η| bins), and the bins that have the factor of all jets.

    Args:
        responses: Responses by bin of pT and of |η|; bins with fewer than `MIN_JETS` jets have the factor of all jets.
        of_all: Response of all jets.

    Raises:
        BadInput: There are fewer than `MIN_JETS` jets, or a median response is not positive.
    """
    if of_all.jets < MIN_JETS:
        raise BadInput(f"{of_all.jets:.0f} (effective) jets with a generated mass; expected {MIN_JETS} or more")
    sparse = [(i, k) for i, row in enumerate(responses) for k, each in enumerate(row) if each.jets < MIN_JETS]
    used = [[of_all if (i, k) in sparse else each for k, each in enumerate(row)] for i, row in enumerate(responses)]
    medians = np.array([[each.median for each in row] for row in used])
    if not (medians > 0).all():
        raise BadInput(f"median response {medians.min():.3g}; expected positive predicted masses")
    return 1 / medians, np.array([[each.error for each in row] for row in used]) / medians**2, sparse
