"""Calibration of the predicted mass: its response on an independent sample, as a correction of correctionlib."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info, stage
from topmass.evaluation.response_correction import ETA_BINS, MIN_JETS, correction_set, factors_of, measure_responses
from topmass.files import BadInput, classify_read_error, write_atomically
from topmass.layers import PIXEL_ETA
from topmass.parquet import DAMAGED, open_parquet

COLUMNS = ("pt", "predicted")
"""Columns that each jet must have, in addition to the target."""


def calibrate(
    predictions: Path, correction: Path, sample: str, target: str, pt_bins: Sequence[float], min_mass: float
) -> None:
    """Write the factors that bring the median response to 1, in bins of pT and |η|, as JSON of correctionlib.

    Bins with too few jets have the factor of all jets.

    Args:
        predictions: Predictions for the jets of a sample that the network was not trained on.
        correction: JSON file to write.
        sample: Name of the sample.
        target: Column of the generated mass. Jets without a finite value are left out.
        pt_bins: Edges of the bins of pT, GeV; the first and the last one include all jets below and above them.
        min_mass: Minimum generated mass, GeV.

    Raises:
        BadInput: The predictions lack a column or the generated mass, or there are too few jets.
    """
    jets, model = load_jets(predictions, target)
    selected = np.isfinite(jets[target]) & (jets[target] > min_mass)
    if not selected.any():
        fix = "to fix: choose a calibration_sample with generated masses"
        raise BadInput(f"{predictions}: no jet with a '{target}' above {min_mass:g} GeV; {fix}")
    jets = {name: values[selected] for name, values in jets.items()}
    if (jets["weight"] < 0).any():
        raise BadInput(f"{predictions}: the weight {jets['weight'].min():.3g}; expected none below zero")
    ratio = jets["predicted"] / jets[target]
    responses, of_all = measure_responses(ratio, jets["pt"], np.abs(jets["eta"]), jets["weight"], pt_bins)
    try:
        factors, errors, sparse = factors_of(responses, of_all)
    except BadInput as error:
        raise BadInput(f"{predictions}: {error}") from None
    for i, row in enumerate(responses):
        for k, each in enumerate(row):
            name = f"pT {pt_bins[i]:g}–{pt_bins[i + 1]:g} GeV, |η| {ETA_BINS[k]:g}–{ETA_BINS[k + 1]:g}"
            log_info(f"{name}: {each.jets:,.0f} jets, response {each.median:.4f} ± {each.error:.4f}")
    log_info(f"all: {of_all.jets:,.0f} jets, response {of_all.median:.4f} ± {of_all.error:.4f}")
    if sparse:
        log_info(f"{len(sparse)} of {factors.size} bins have fewer than {MIN_JETS} jets, and the factor of all jets")
    about = f"1 / median response of the model {model} on {len(ratio):,} jets of the sample {sample}, target {target}"
    write_atomically(correction, json.dumps(correction_set(factors, errors, pt_bins, about), indent=1) + "\n")


def load_jets(path: Path, target: str) -> tuple[dict[str, np.ndarray], str]:
    """Return the columns of all jets, and the digest of the model.

    An unknown weight is 1. Where η is unknown, it is that of the central pixel.
    """
    file = open_parquet(path)
    names = file.schema_arrow.names
    for name in (*COLUMNS, target):
        if name not in names:
            raise BadInput(f"{path}: no column '{name}'; there are {', '.join(names)}")
    columns = [name for name in (*COLUMNS, target, "eta", "ieta", "weight") if name in names]
    try:
        table = file.read(columns=list(dict.fromkeys(columns)), use_threads=False)
    except DAMAGED as error:
        raise classify_read_error(error, f"{path}: damaged") from None
    jets = {name: table[name].to_numpy().astype(float) for name in table.column_names}
    unknown = np.full(len(table), np.nan)
    eta = jets.get("eta", unknown)
    jets["eta"] = np.where(np.isfinite(eta), eta, jets.pop("ieta", unknown) * PIXEL_ETA)
    if len(wrong := np.flatnonzero(~np.isfinite(jets["pt"] + jets["eta"] + jets["predicted"]))):
        raise BadInput(f"{path}: row {wrong[0]}: pt, eta or predicted is not finite")
    weight = jets.get("weight", unknown)
    jets["weight"] = np.where(np.isfinite(weight), weight, 1)
    return jets, (file.schema_arrow.metadata or {}).get(b"model", b"unknown").decode()


if __name__ == "__main__":
    with stage("calibrate", snakemake.log[0]):
        calibrate(
            Path(snakemake.input.predictions),
            Path(snakemake.output.correction),
            snakemake.params.sample,
            snakemake.params.target,
            snakemake.params.pt_bins,
            snakemake.params.min_mass,
        )
