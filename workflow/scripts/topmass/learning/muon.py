"""Muon for the matrices of a network, and AdamW for all else."""

from collections.abc import Sequence

from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer

LEAST_SIDE = 24
"""Rows and columns of a matrix that Muon takes: what is smaller gives a head, or embeds a few numbers."""


class MuonAndAdamW(Optimizer):
    """Steps of matrices are made orthogonal, so that all their directions are learned at the same pace.

    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); steps are as large as those of
    AdamW, by J. Liu et al., arXiv:2502.16982, so that both have the same `learning_rate` and `weight_decay`.
    """

    def __init__(self, parameters: Sequence[Parameter], learning_rate: float, weight_decay: float, fused: bool) -> None:
        matrices = [each for each in parameters if each.ndim == 2 and min(each.shape) >= LEAST_SIDE]
        others = [each for each in parameters if all(each is not matrix for matrix in matrices)]
        self.parts: list[Optimizer] = []
        if matrices:
            self.parts.append(Muon(matrices, learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))
        if others:
            self.parts.append(AdamW(others, learning_rate, weight_decay=weight_decay, fused=fused))
        super().__init__([group for part in self.parts for group in part.param_groups], {"lr": learning_rate})
        self._share()

    def _share(self) -> None:
        """Let the parts see the groups and the state of the whole, which is what a checkpoint has."""
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._share()

    def step(self, closure: None = None) -> None:
        """Change the parameters by their gradients."""
        for part in self.parts:
            part.step(closure)
