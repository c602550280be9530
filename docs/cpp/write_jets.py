"""Write the jets of a jet table in the form that masses.cpp reads; README.md beside this file says how it is called."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from topmass.files import BadInput, whole
from topmass.jets import JetBatch, JetTable
from topmass.layers import SIDE


def write_jets(model: Path, jets: Path, out: Path) -> None:
    """Write all jets of a table for a model_sparse.onnx: of each its number of hits, ieta and iphi, and its hits.

    A hit is row, column, number of its layer in the model, and value; those in layers that the model does not take are
    left out. All numbers are little-endian and have 32 bits. BadInput for a table that lacks what the model takes.
    """
    table = JetTable(jets)
    number = numbers_in_model(model, jets, table)
    across = np.array([SIDE // layer.cell for layer in table.layers])
    with whole(out) as part, part.open("wb") as file:
        for batch in table.batches():
            file.write(as_bytes(batch, number, across))


def numbers_in_model(model: Path, jets: Path, table: JetTable) -> np.ndarray:
    """Of each layer of the table, its number in the model; -1 for one that the model does not take."""
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
    """Names and cells in a few words."""
    return ", ".join(f"{name} ({cell})" for name, cell in layers)


def as_bytes(batch: JetBatch, number: np.ndarray, across: np.ndarray) -> bytes:
    """Some jets; `number` and `across` are, of each layer of their table, its number in the model and cells a side."""
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
