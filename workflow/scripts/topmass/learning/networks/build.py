"""A network by its name."""

from collections.abc import Mapping

from topmass.learning.networks.kinematics import Kinematics
from topmass.learning.networks.network import Network
from topmass.learning.networks.pillars import Pillars
from topmass.learning.networks.prongs import Prongs
from topmass.learning.networks.resnet15 import ResNet15
from topmass.learning.networks.transformer import Transformer
from topmass.preprocessing.shards import ShardMeta

NETWORKS = {
    "resnet15": ResNet15,
    "kinematics": Kinematics,
    "transformer": Transformer,
    "prongs": Prongs,
    "pillars": Pillars,
}
"""By their names in the configuration."""


def build_network(network: Mapping, shards: ShardMeta, outputs: int) -> Network:
    """The network of this `name`, with its other settings, for jets of such shards; ValueError if it cannot be."""
    settings = dict(network)
    name = settings.pop("name")
    if name not in NETWORKS:
        raise ValueError(f"no network '{name}'")
    return NETWORKS[name](shards, outputs, **settings)
