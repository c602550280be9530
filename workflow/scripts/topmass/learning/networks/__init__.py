"""The networks, one file each. All take the same batch: images (B, C, H, W) and positions (B, 2)."""

from torch import nn

from topmass.learning.networks.resnet15 import ResNet15


def build_network(name: str, layers: int, pool: int) -> nn.Module:
    """The network of this name for images of this many layers, pooled by this factor first."""
    return {"resnet15": ResNet15}[name](layers, pool)
