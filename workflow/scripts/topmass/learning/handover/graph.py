"""A signature as a graph of ONNX."""

import io
import json
import warnings
from collections.abc import Mapping

import onnx
import torch
from torch import Tensor

from topmass.learning.handover.operations import OPSET, operations
from topmass.learning.handover.signatures import Signature


def make_graph(signature: Signature, about: Mapping) -> bytes:
    """The content of a file, with `about` in its metadata; any number of jets, and of hits, goes in. Checked by onnx.

    By torch's older exporter, which asks for no further package.
    """
    content, inputs = io.BytesIO(), examples(signature)
    axes = {name: {0: "jets"} for name in (*signature.inputs, *signature.outputs())}
    if "hits" in axes:
        axes["hits"] = {0: "jets", 1: "hits"}
    with operations(), torch.no_grad(), warnings.catch_warnings():
        # That the exporter is the older one, and that numbers of the settings become constants.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            signature.eval(),
            tuple(inputs.values()),
            content,
            dynamo=False,
            opset_version=OPSET,
            input_names=[*inputs],
            output_names=[*signature.outputs()],
            dynamic_axes=axes,
        )
    graph = onnx.load_model_from_string(content.getvalue())
    onnx.helper.set_model_props(graph, {name: text(value) for name, value in about.items()})
    onnx.checker.check_model(graph, full_check=True)
    return graph.SerializeToString()


def examples(signature: Signature) -> dict[str, Tensor]:
    """Inputs of two jets with two values each: what has the size one would be taken to have it always."""
    shards = signature.model.shards
    image = torch.zeros(2, len(shards.layers), shards.side, shards.side)
    image[:, 0, :2, 0] = 1.0
    known = {"image": image, "hits": torch.ones(2, 2, 4) * torch.tensor([1.0, 1.0, 0.0, 1.0])}
    known |= {"position": torch.ones(2, 2), "ieta": torch.ones(2), "iphi": torch.ones(2)}
    return {name: known[name] for name in signature.inputs}


def text(value: object) -> str:
    """As it stands in the metadata: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
