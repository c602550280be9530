"""The processes that train one network together, each on its share of every batch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Team:
    """This process is number `rank` of `size`. The first one speaks and writes for all."""

    rank: int = 0
    size: int = 1

    def share(self, jets: int) -> slice:
        """This process's part of a batch of so many jets: together the parts are the batch, in its order."""
        return slice(jets * self.rank // self.size, jets * (self.rank + 1) // self.size)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, with one message for all of them."""
        if self.size > 1:
            together = torch.cat([each.reshape(-1) for each in tensors])
            distributed.all_reduce(together)
            for each, total in zip(tensors, together.split([each.numel() for each in tensors]), strict=True):
                each.copy_(total.view_as(each))

    def least(self, values: Sequence[float]) -> list[float]:
        """The smallest of each value among all processes, so that all decide alike."""
        if self.size == 1:
            return list(values)
        # NCCL speaks of GPUs only.
        device = torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
        found = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(found, distributed.ReduceOp.MIN)
        return found.tolist()


def join_team(device: torch.device) -> Team:
    """The team that torch's launcher started this process in: over NCCL between GPUs, over gloo else."""
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Team(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
