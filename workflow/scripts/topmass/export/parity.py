"""Numerical parity of ONNX Runtime and PyTorch."""

import numpy as np
import onnxruntime
import torch

from topmass.data.batches import SparseJets
from topmass.data.datasets import InMemoryDataset
from topmass.export.export_inputs import graph_inputs
from topmass.files import BadInput
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import MASS_SCALE, Shard
from topmass.progress import track
from topmass.training.calibration import scale_intervals
from topmass.training.inference import predict_batches

TOLERANCE = 0.05
"""Largest allowed difference, GeV."""
BATCHES = (1, 2, 7, 256)
"""Batch sizes of the comparison, jets."""
JETS = 1000
CPU = torch.device("cpu")


def open_session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def predict_in_torch(trained: TrainedModel, shard: Shard) -> np.ndarray:
    """Return outputs (N, Q) in GeV of the jets of a shard, float32."""
    batches = predict_batches(trained.network, InMemoryDataset(SparseJets.of(shard, CPU)), CPU, torch.float32)
    outputs = torch.cat([outputs for _, outputs in batches])
    return scale_intervals(outputs, trained.conformal_scale).numpy() * MASS_SCALE


def predict_in_onnx(session: onnxruntime.InferenceSession, raw: Shard, size: int) -> np.ndarray:
    """Return outputs (N, Q) in GeV of raw jets, in batches of `size`."""
    names, outputs = [each.name for each in session.get_inputs()], []
    for first in range(0, len(raw), size):
        jets = raw.take(np.arange(first, min(first + size, len(raw))))
        # The last output contains all quantiles, or the mass if there are none.
        outputs.append(session.run(None, graph_inputs(jets, names))[-1].reshape(len(jets), -1))
    return np.concatenate(outputs)


def largest_differences(name: str, graph: bytes, raw: Shard, expected: np.ndarray, threads: int) -> dict[str, float]:
    """Return the largest difference in GeV from the expected outputs (N, Q) of raw jets, by batch size.

    Raises:
        BadInput: A difference is above `TOLERANCE`; the message names the jet.
    """
    session, largest = open_session(graph, threads), {}
    for size in track(BATCHES, name, "batch size"):
        difference = np.abs(predict_in_onnx(session, raw, size) - expected).max(axis=1)
        # NaN counts as a failure.
        worst = int(np.argmax(np.nan_to_num(difference, nan=np.inf)))
        if not difference[worst] <= TOLERANCE:
            jet = f"jet {worst} (event {raw.arrays['event'][worst]}) in batches of {size}"
            raise BadInput(f"{name}: {jet}: {difference[worst]:.3g} GeV from torch, allowed are {TOLERANCE}")
        largest[str(size)] = float(difference[worst])
    return largest
