"""What a network is: one file each, and a trained one as a file. All take images (B, C, H, W) and positions (B, …)."""

from torch import nn

from topmass.learning.networks.resnet15 import ResNet15

LARGEST_POOL = 8
"""As workflow/schemas/config.schema.yaml has it: larger pixels leave a network nothing to look at."""


def build_network(name: str, layers: int, pool: int, coordinates: int) -> nn.Module:
    """The network of this name for images of this many layers, pooled by this factor first, and positions.

    KeyError if there is no such network, ValueError if it cannot be pooled so.
    """
    if not isinstance(pool, int) or not 1 <= pool <= LARGEST_POOL:
        raise ValueError(f"pool {pool} instead of 1 to {LARGEST_POOL}")
    return {"resnet15": ResNet15}[name](layers, pool, coordinates)
