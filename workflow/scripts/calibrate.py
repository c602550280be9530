"""Calibration of the predicted mass: its response on an independent sample, as a correction of correctionlib."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info, stage
from topmass.evaluation.response_correction import ETA_BINS, MIN_JETS, correction_set, factors_of, measure_responses
from topmass.evaluation.sample_jets import SampleJets, column, read_sample
from topmass.files import BadInput, write_atomically
from topmass.layers import PIXEL_ETA


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
    table = read_sample(predictions, (target,))
    jets = SampleJets.from_table(table, predictions, target)
    truth, eta = column(table, target), column(table, "eta")
    # Where η is unknown, it is that of the central pixel.
    eta = np.where(np.isfinite(eta), eta, column(table, "ieta") * PIXEL_ETA)
    if len(wrong := np.flatnonzero(~np.isfinite(jets.pt + eta))):
        raise BadInput(f"{predictions}: row {wrong[0]}: pt or eta is not finite")
    selected = np.flatnonzero(np.isfinite(truth) & (truth > min_mass))
    if not len(selected):
        fix = "to fix: choose a calibration_sample with generated masses"
        raise BadInput(f"{predictions}: no jet with a '{target}' above {min_mass:g} GeV; {fix}")
    ratio = jets.estimates["network"][selected] / truth[selected]
    responses, of_all = measure_responses(
        ratio, jets.pt[selected], np.abs(eta[selected]), jets.weights(selected), pt_bins
    )
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
    of_sample = f"{len(ratio):,} jets of the sample {sample}, target {target}"
    about = f"1 / median response of the model {jets.model or 'unknown'} on {of_sample}"
    write_atomically(correction, json.dumps(correction_set(factors, errors, pt_bins, about), indent=1) + "\n")


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
