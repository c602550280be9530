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
    number = numbers_in_model(model, jets, table)
    across = np.array([SIDE // layer.cell for layer in table.layers])
    with atomic_write(out) as part, part.open("wb") as file:
        for batch in table.batches():
            file.write(as_bytes(batch, number, across))


def numbers_in_model(model: Path, jets: Path, table: JetTable) -> np.ndarray:
    """Return the index in the model of each layer of the table; -1 for layers that the model does not read.

    Args:
        model: The model_sparse.onnx.
        jets: File of the table, for messages.
        table: Jet table.

    Raises:
        BadInput: The table lacks a layer or the position of the jets.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    layers = json.loads(session.get_modelmeta().custom_metadata_map["layers"])
    wanted = [(layer["name"], layer["cell"]) for layer in layers]
    found = [(layer.name, layer.cell) for layer in table.layers]
    if set(wanted) - set(found):
        raise BadInput(f"{jets}: layers (pixels a cell) {described(found)}, but the model takes {described(wanted)}")
    if "position" in [each.name for each in session.get_inputs()] and not table.position:
        raise BadInput(f"{jets}: not known where in the detector the jets are, which the model takes")
    return np.array([wanted.index(layer) if layer in wanted else -1 for layer in found])


def described(layers: list[tuple[str, int]]) -> str:
    """Return names and cell sizes of layers as text."""
    return ", ".join(f"{name} ({cell})" for name, cell in layers)


def as_bytes(batch: JetBatch, number: np.ndarray, across: np.ndarray) -> bytes:
    """Return the jets of a batch in the input format.

    Args:
        batch: Jets.
        number: Index in the model of each layer of the table; negative for omitted layers.
        across: Number of cells along each side of the window, per layer of the table.
    """
    row, column = np.divmod(batch.pixel, across[batch.layer])
    hits = np.stack([row, column, number[batch.layer], batch.value], axis=1).astype("<f4")
    taken = number[batch.layer] >= 0
    position = np.nan_to_num(np.stack([batch.ieta, batch.iphi], axis=1)).astype("<f4")
    parts = []
    for jet in range(len(batch)):
        of_jet = slice(batch.offset[jet], batch.offset[jet + 1])
        kept = hits[of_jet][taken[of_jet]]
        parts += [np.array(len(kept), "<i4").tobytes(), position[jet].tobytes(), kept.tobytes()]
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
