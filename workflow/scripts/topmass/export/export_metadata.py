"""Metadata of exported models, for use without this project."""

import json
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from topmass.export.symbolics import OPSET
from topmass.files import BadInput
from topmass.layers import PIXEL_ETA, PIXEL_PHI, find_layers
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import ShardMeta

LICENCE = "MIT"
OUT_OF_SCOPE = (
    "The network has seen simulated jets alone, by default those of a toy detector without pile-up. It measures "
    "nothing in data of a real detector, and nothing outside the masses and pT that it was trained with, before it has "
    "been trained and validated for them."
)
PACKAGES = ("torch", "onnx", "onnxruntime")
UNIT_NAMES = {"mass": "GeV", "quantiles": "GeV", "ieta": "pixels from η = 0", "iphi": "pixels"}


def model_metadata(trained: TrainedModel, path: Path, metrics: Path | None) -> dict:
    """Return the metadata of an ONNX model by name, as strings and JSON values.

    Args:
        trained: Trained model.
        path: Model file, for its hash.
        metrics: `metrics.json` of the model; None for none.

    Raises:
        BadInput: `metrics` contains no scores of a network.
    """
    shards = trained.shards
    layers = [
        {"name": layer.name, "unit": layer.unit, "cell": layer.cell, "scale": scale}
        for layer, scale in zip(find_layers(shards.layers, shards.cells), shards.scales, strict=True)
    ]
    metadata = {
        "layers": layers,
        "window": {"side": shards.side, "pixel_eta": PIXEL_ETA, "pixel_phi": PIXEL_PHI},
        "preprocessing": {"zero_suppression": shards.zero_suppression, "compression": shards.compression},
        "network": trained.settings,
        "quantiles": trained.quantiles,
        "units": UNIT_NAMES,
        "training": f"sha256:{sha256(path.read_bytes()).hexdigest()}",
        "statistics": shards.statistics,
        "versions": {"opset": OPSET, **{name: version(name) for name in PACKAGES}},
        "licence": LICENCE,
        "not_for": OUT_OF_SCOPE,
    }
    return metadata | ({"scores": read_scores(metrics)} if metrics else {})


def read_scores(metrics: Path) -> dict:
    """Return number of jets, interval level and metrics of all test jets from `metrics.json`.

    Raises:
        BadInput: The file contains no scores of a network.
    """
    try:
        content = json.loads(metrics.read_text(encoding="utf-8"))
        region = next(region for region in content["regions"] if region["by"] == "all")
        level = content["bootstrap"]["level"]
        return {"jets": region["jets"], "level": level, "metrics": region["scores"]["network"]}
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise BadInput(f"{metrics}: not the scores of a network ({error!r})") from None


def weaver_preprocessing(shards: ShardMeta, outputs: Sequence[str]) -> dict:
    """Return the preprocessing JSON of weaver-core for the sparse inputs: no scaling, padding with zeros."""
    shapes = {"hits": [-1, -1, 4]} | ({"position": [-1, 2]} if shards.position else {})
    variables = {"hits": ["row", "column", "layer", "value"], "position": ["ieta", "iphi"]}
    unscaled = {"median": 0, "norm_factor": 1, "replace_inf_value": 0}
    unscaled |= {"lower_bound": -1e32, "upper_bound": 1e32, "pad": 0}
    return {
        "input_names": [*shapes],
        "input_shapes": shapes,
        "output_names": [*outputs],
        **{
            name: {"var_names": variables[name], "var_infos": {variable: unscaled for variable in variables[name]}}
            for name in shapes
        },
    }
