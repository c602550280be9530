"""Conversion of a jet table to the input format of masses.cpp; README.md in this folder describes the usage."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

sys.path.append(str(Path(__file__).resolve().parents[2] / "workflow/scripts"))
from topmass.files import BadInput, atomic_write
from topmass.jets import JetBatch, JetTable
from topmass.layers import SIDE


def write_jets(model: Path, jets: Path, out: Path) -> None:
    """Write all jets of a table for a model_sparse.onnx.

    Each jet has its number of hits, ieta, iphi, and its hits. A hit has row, column, index of its layer in the model,
    and value. Hits in layers that the model does not read are omitted. All numbers are little-endian with 32 bits.

    Args:
        model: The model_sparse.onnx.
        jets: Jet table.
        out: File to write.

    Raises:
        BadInput: The table lacks inputs of the model.
    """
    table = JetTable(jets)
    index = model_layer_indices(model, table)
    cells_per_side = np.array([SIDE // layer.cell for layer in table.layers])
    with atomic_write(out) as part, part.open("wb") as file:
        for batch in table.batches():
            file.write(to_bytes(batch, index, cells_per_side))


def model_layer_indices(model: Path, table: JetTable) -> np.ndarray:
    """Return the index in the model of each layer of the table; -1 for layers that the model does not read.

    Raises:
        BadInput: The table lacks a layer or the position of the jets.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    required = json.loads(session.get_modelmeta().custom_metadata_map["layers"])
    required = [(layer["name"], layer["cell"]) for layer in required]
    available = [(layer.name, layer.cell) for layer in table.layers]
    if set(required) - set(available):
        texts = [", ".join(f"{name} ({cell})" for name, cell in layers) for layers in (available, required)]
        raise BadInput(f"{table.path}: layers (pixels per cell) {texts[0]}, but the model requires {texts[1]}")
    if "position" in [each.name for each in session.get_inputs()] and not table.position:
        raise BadInput(f"{table.path}: no position of the jets in the detector, which the model requires")
    return np.array([required.index(layer) if layer in required else -1 for layer in available])


def to_bytes(batch: JetBatch, index: np.ndarray, cells_per_side: np.ndarray) -> bytes:
    """Return the jets of a batch in the input format.

    Args:
        batch: Jets.
        index: Index in the model of each layer of the table; negative for omitted layers.
        cells_per_side: Number of cells along each side of the window, per layer of the table.
    """
    row, column = np.divmod(batch.pixel, cells_per_side[batch.layer])
    hits = np.stack([row, column, index[batch.layer], batch.value], axis=1).astype("<f4")
    position = np.nan_to_num(np.stack([batch.ieta, batch.iphi], axis=1)).astype("<f4")
    parts = []
    for jet_position, jet_hits in zip(position, np.split(hits, batch.offset[1:-1]), strict=False):
        jet_hits = jet_hits[jet_hits[:, 2] >= 0]
        parts += [np.array(len(jet_hits), "<i4").tobytes(), jet_position.tobytes(), jet_hits.tobytes()]
    return b"".join(parts)


if __name__ == "__main__":
    try:
        model, jets, out = map(Path, sys.argv[1:])
    except ValueError:
        sys.exit("usage: write_jets.py MODEL JETS OUT")
    try:
        write_jets(model, jets, out)
    except BadInput as error:
        sys.exit(f"error: {error}")
