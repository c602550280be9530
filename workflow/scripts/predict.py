"""Prediction of the masses of user jets with a trained network."""

import argparse
import sys
from pathlib import Path

import torch

# Python does not search this folder by itself with -I, -P or PYTHONSAFEPATH.
sys.path.append(str(Path(__file__).resolve().parent))
from topmass.commands.predict_jets import DESCRIPTION, add_arguments, predict_jets, run
from topmass.console import stage
from topmass.limits import available_cores

KEYS = {name: f"predict.{name}" for name in ("layers", "columns", "format")} | {"device": "compute.device"}
"""Configuration keys of the options, for messages."""

if __name__ == "__main__":
    if "snakemake" in globals():
        with stage("predict", snakemake.log[0]):
            torch.set_num_threads(min(snakemake.threads, available_cores()))
            predict_jets(
                Path(snakemake.input.model),
                list(snakemake.input.jets),
                Path(snakemake.output.predictions),
                snakemake.params.layers,
                snakemake.params.columns,
                snakemake.config["compute"]["device"],
                snakemake.params.precision,
                KEYS,
                snakemake.params.format,
                Path(snakemake.input.calibration[0]) if snakemake.input.calibration else None,
            )
    else:
        parser = argparse.ArgumentParser(description=DESCRIPTION)
        add_arguments(parser)
        with stage("predict"):
            run(parser.parse_args())
