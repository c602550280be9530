"""Export of a wrapped model to ONNX."""

import io
import json
import warnings
from collections.abc import Mapping

import onnx
import torch
from torch import Tensor

from topmass.export.symbolics import OPSET, register_symbolics
from topmass.export.wrappers import ExportWrapper


def build_onnx_model(signature: ExportWrapper, about: Mapping) -> bytes:
    """Return an ONNX model, checked by onnx, with dynamic numbers of jets and hits.

    torch's older exporter is used, since it requires no further package.

    Args:
        signature: Wrapped model.
        about: Metadata by name.
    """
    content, inputs = io.BytesIO(), example_inputs(signature)
    axes = {name: {0: "jets"} for name in (*signature.inputs, *signature.outputs())}
    if "hits" in axes:
        axes["hits"] = {0: "jets", 1: "hits"}
    with register_symbolics(), torch.no_grad(), warnings.catch_warnings():
        # Warnings that the exporter is the older one, and that numbers from the settings become constants.
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
    onnx.helper.set_model_props(graph, {name: metadata_text(value) for name, value in about.items()})
    onnx.checker.check_model(graph, full_check=True)
    return graph.SerializeToString()


def example_inputs(signature: ExportWrapper) -> dict[str, Tensor]:
    """Return inputs of two jets with two hits each: the exporter would treat a dimension of size 1 as static."""
    shards = signature.model.shards
    image = torch.zeros(2, len(shards.layers), shards.side, shards.side)
    image[:, 0, :2, 0] = 1.0
    known = {"image": image, "hits": torch.ones(2, 2, 4) * torch.tensor([1.0, 1.0, 0.0, 1.0])}
    known |= {"position": torch.ones(2, 2), "ieta": torch.ones(2), "iphi": torch.ones(2)}
    return {name: known[name] for name in signature.inputs}


def metadata_text(value: object) -> str:
    """Return strings unchanged, and other values as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
