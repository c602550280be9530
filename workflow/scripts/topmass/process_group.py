"""Process group of a data-parallel training; each rank processes a slice of every batch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class ProcessGroup:
    """Rank and world size of this process. Rank 0 logs and writes files."""

    rank: int = 0
    size: int = 1

    def local_slice(self, jets: int) -> slice:
        """Return this rank's slice of a batch of `jets` jets; the slices of all ranks, in order, are the batch."""
        return slice(jets * self.rank // self.size, jets * (self.rank + 1) // self.size)

    def all_reduce_sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all ranks, with one message for all tensors."""
        if self.size > 1:
            message = torch.cat([tensor.reshape(-1) for tensor in tensors])
            distributed.all_reduce(message)
            for tensor, total in zip(tensors, message.split([tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def all_reduce_min(self, values: Sequence[float]) -> list[float]:
        """Return the minimum of each value over all ranks, so that all ranks make the same decision."""
        if self.size == 1:
            return list(values)
        # NCCL supports GPU tensors only.
        device = torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
        minima = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(minima, distributed.ReduceOp.MIN)
        return minima.tolist()


def init_process_group(device: torch.device) -> ProcessGroup:
    """Join the process group of torch's launcher: NCCL between GPUs, else gloo."""
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return ProcessGroup(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
