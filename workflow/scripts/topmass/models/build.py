"""Construction of networks by name."""

from collections.abc import Mapping

from topmass.models.kinematics import Kinematics
from topmass.models.network import Network
from topmass.models.prongs import Prongs
from topmass.models.resnet15 import ResNet15
from topmass.models.transformer import Transformer
from topmass.preprocessing.shards import ShardMeta

NETWORKS = {
    "resnet15": ResNet15,
    "kinematics": Kinematics,
    "transformer": Transformer,
    "prongs": Prongs,
}
"""Network classes by their names in the configuration."""


def build_network(network: Mapping, shards: ShardMeta, n_outputs: int) -> Network:
    """Build a network from its settings.

    Args:
        network: `name`, one of `NETWORKS`, and the keyword arguments of its class.
        shards: Metadata of the shards.
        n_outputs: Outputs per jet.

    Raises:
        ValueError: There is no such network, or it cannot have these settings.
    """
    settings = dict(network)
    name = settings.pop("name")
    if name not in NETWORKS:
        raise ValueError(f"no network '{name}'")
    return NETWORKS[name](shards, n_outputs, **settings)
