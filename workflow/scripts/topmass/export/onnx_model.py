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
from topmass.files import BadInput


def build_onnx_model(wrapper: ExportWrapper, metadata: Mapping) -> bytes:
    """Return an ONNX model with these metadata, checked by onnx, with dynamic numbers of jets and hits.

    Raises:
        BadInput: The network has an operation that the exporter does not support.
    """
    content, inputs = io.BytesIO(), example_inputs(wrapper)
    axes = {name: {0: "jets"} for name in (*wrapper.inputs, *wrapper.outputs())}
    if "hits" in axes:
        axes["hits"] = {0: "jets", 1: "hits"}
    with register_symbolics(), torch.no_grad(), warnings.catch_warnings():
        # Warnings that the exporter is the older one, and that numbers from the settings become constants.
        warnings.simplefilter("ignore")
        # Not dynamo=True (tried with torch 2.13.0, onnxscript 0.7.2): it requires two packages that no environment has,
        # fails on `int // tensor` and on `hypot`, and writes a resnet15 that is wrong by 3,800 GeV. Its models have
        # version 10 of ONNX's IR, but ONNX Runtime 1.14 reads 8 at most.
        try:
            torch.onnx.export(
                wrapper.eval(),
                tuple(inputs.values()),
                content,
                dynamo=False,
                opset_version=OPSET,
                input_names=[*inputs],
                output_names=[*wrapper.outputs()],
                dynamic_axes=axes,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise BadInput(f"no ONNX export: {str(error).splitlines()[0]}") from None
    graph = onnx.load_model_from_string(content.getvalue())
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for name, value in metadata.items()
    }
    onnx.helper.set_model_props(graph, texts)
    onnx.checker.check_model(graph, full_check=True)
    return graph.SerializeToString()


def example_inputs(wrapper: ExportWrapper) -> dict[str, Tensor]:
    """Return inputs of two jets with two hits each: the exporter would treat a dimension of size 1 as static."""
    shards = wrapper.model.shards
    image = torch.zeros(2, len(shards.layers), shards.side, shards.side)
    image[:, 0, :2, 0] = 1.0
    inputs = {"image": image, "hits": torch.ones(2, 2, 4) * torch.tensor([1.0, 1.0, 0.0, 1.0])}
    inputs |= {"position": torch.ones(2, 2), "ieta": torch.ones(2), "iphi": torch.ones(2)}
    return {name: inputs[name] for name in wrapper.inputs}
