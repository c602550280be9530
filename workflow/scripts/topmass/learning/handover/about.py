"""What is told of a model to those who use it without this project."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from topmass.files import BadInput
from topmass.layers import PIXEL_ETA, PIXEL_PHI, find_layers
from topmass.learning.handover.operations import OPSET
from topmass.learning.networks.model import Model
from topmass.preprocessing.shards import ShardMeta

LICENCE = "MIT"
NOT_FOR = (
    "The network has seen simulated jets alone, by default those of a toy detector without pile-up. It measures "
    "nothing in data of a real detector, and nothing outside the masses and pT that it was trained with, before it has "
    "been trained and validated for them."
)
PACKAGES = ("torch", "onnx", "onnxruntime")
UNITS = {"mass": "GeV", "quantiles": "GeV", "ieta": "pixels from η = 0", "iphi": "pixels"}


def describe(trained: Model, path: Path, metrics: Path | None) -> dict:
    """What a graph has in its metadata, by name: texts, and what JSON takes."""
    shards = trained.shards
    layers = [
        {"name": layer.name, "unit": layer.unit, "cell": layer.cell, "scale": scale}
        for layer, scale in zip(find_layers(shards.layers, shards.cells), shards.scales, strict=True)
    ]
    about = {
        "layers": layers,
        "window": {"side": shards.side, "pixel_eta": PIXEL_ETA, "pixel_phi": PIXEL_PHI},
        "preprocessing": {"zero_suppression": shards.zero_suppression, "compression": shards.compression},
        "network": trained.settings,
        "quantiles": trained.quantiles,
        "units": UNITS,
        "training": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}",
        "statistics": shards.statistics,
        "versions": {"opset": OPSET, **{name: version(name) for name in PACKAGES}},
        "licence": LICENCE,
        "not_for": NOT_FOR,
    }
    return about | ({"scores": scores(metrics)} if metrics else {})


def scores(metrics: Path) -> dict:
    """Of all test jets, as `metrics.json` has them: their number, the level of the intervals, and each metric."""
    try:
        content = json.loads(metrics.read_text(encoding="utf-8"))
        region = next(each for each in content["regions"] if each["by"] == "all")
        level = content["bootstrap"]["level"]
        return {"jets": region["jets"], "level": level, "metrics": region["scores"]["network"]}
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise BadInput(f"{metrics}: not the scores of a network ({error!r})") from None


def preprocessing_of(shards: ShardMeta, outputs: Sequence[str]) -> dict:
    """What weaver-core writes beside a network, for the sparse signature; nothing is left to be scaled outside."""
    variables = {"hits": ("row", "column", "layer", "value"), "position": ("ieta", "iphi")}
    names = [*variables] if shards.position else ["hits"]
    shapes = {"hits": [-1, -1, 4], "position": [-1, 2]}
    return {
        "input_names": names,
        "input_shapes": {name: shapes[name] for name in names},
        "output_names": [*outputs],
        **{name: of_variables(variables[name]) for name in names},
    }


def of_variables(names: Sequence[str]) -> Mapping:
    """Variables that go in as they are, and are filled up with zeros."""
    as_it_is = {
        "median": 0,
        "norm_factor": 1,
        "replace_inf_value": 0,
        "lower_bound": -1e32,
        "upper_bound": 1e32,
        "pad": 0,
    }
    return {"var_names": [*names], "var_infos": {name: as_it_is for name in names}}
