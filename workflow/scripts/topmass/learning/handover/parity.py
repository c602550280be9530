"""Whether a graph says in onnxruntime what the network says in torch."""

from collections.abc import Callable, Iterable

import numpy as np
import onnxruntime
import torch

from topmass.files import BadInput
from topmass.learning.feeding.batches import SparseJets
from topmass.learning.feeding.sources import InMemory
from topmass.learning.handover.raw_jets import inputs_of
from topmass.learning.networks.model import Model
from topmass.learning.training.calibration import widened
from topmass.learning.training.validation import predict
from topmass.preprocessing.shards import MASS_SCALE, Shard

TOLERANCE = 0.05
"""GeV."""
BATCHES = (1, 2, 7, 256)
"""Jets at once."""
JETS = 1000
CPU = torch.device("cpu")


def session_of(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    """A graph that is ready to run on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def masses_in_torch(trained: Model, shard: Shard) -> np.ndarray:
    """Outputs (N, Q) in GeV of the jets of a shard, float32."""
    outputs = predict(trained.network, InMemory(SparseJets.of(shard, CPU)), CPU, torch.float32)
    return widened(outputs, trained.widening).numpy() * MASS_SCALE


def masses_in_onnx(session: onnxruntime.InferenceSession, raw: Shard, size: int) -> np.ndarray:
    """The same, of raw jets, so many at once."""
    names, found = [each.name for each in session.get_inputs()], []
    for first in range(0, len(raw), size):
        jets = raw.take(np.arange(first, min(first + size, len(raw))))
        # The last output has all quantiles, or is the mass.
        found.append(session.run(None, inputs_of(jets, names))[-1].reshape(len(jets), -1))
    return np.concatenate(found)


def largest_differences(
    name: str,
    graph: bytes,
    raw: Shard,
    expected: np.ndarray,
    threads: int,
    watched: Callable[[Iterable], Iterable] = iter,
) -> dict[str, float]:
    """By the number of jets at once, the largest difference in GeV from the outputs (N, Q) that are expected.

    BadInput with the jet if it is above TOLERANCE. `watched` shows how far the sizes of batches are.
    """
    session, largest = session_of(graph, threads), {}
    for size in watched(BATCHES):
        difference = np.abs(masses_in_onnx(session, raw, size) - expected).max(axis=1)
        # Not a number is no agreement either.
        worst = int(np.argmax(np.nan_to_num(difference, nan=np.inf)))
        if not difference[worst] <= TOLERANCE:
            what = f"jet {worst} (event {raw.arrays['event'][worst]}), {size} at once"
            raise BadInput(f"{name}: {what}: {difference[worst]:.3g} GeV from torch, allowed are {TOLERANCE}")
        largest[str(size)] = float(difference[worst])
    return largest
