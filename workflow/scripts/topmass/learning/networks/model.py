"""A trained network as one safetensors file: its weights, and in its metadata what is needed to use them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from topmass.files import damage, whole
from topmass.learning.networks import build_network
from topmass.learning.tensors import DAMAGED, read_tensors, to_bytes
from topmass.preprocessing.shards import ShardMeta


@dataclass(frozen=True)
class Model:
    """A network and the shards that it takes: `shards` is what those of its training have in common."""

    network: nn.Module
    name: str
    pool: int
    shards: ShardMeta

    @classmethod
    def new(cls, name: str, pool: int, shards: ShardMeta) -> "Model":
        """A network of this name with fresh weights, from torch's global random state."""
        return cls(build_network(name, len(shards.layers), pool, shards.coordinates), name, pool, shards)

    def save(self, path: Path) -> None:
        """Write weights and metadata."""
        about = {"name": self.name, "pool": self.pool, "shards": asdict(self.shards)}
        with whole(path) as part:
            part.write_bytes(to_bytes(self.network.state_dict(), json.dumps(about, sort_keys=True)))

    @classmethod
    def load(cls, path: Path) -> "Model":
        """Read; BadInput if the file is damaged or not a model of this project."""
        try:
            weights, text = read_tensors(path)
            about = json.loads(text)
            model = cls.new(about["name"], about["pool"], ShardMeta.parse(json.dumps(about["shards"]), path))
            model.network.load_state_dict(weights)
        except DAMAGED as error:
            raise damage(error, f"{path}: not a model of topmass") from None
        return model
