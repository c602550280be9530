"""A trained network as one safetensors file: its weights, and in its metadata what is needed to use them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from topmass.files import BadInput, damage, whole
from topmass.learning.networks.build import build_network
from topmass.learning.networks.network import Network
from topmass.learning.tensors import DAMAGED, read_tensors, to_bytes
from topmass.preprocessing.shards import ShardMeta

VERSION = 2


@dataclass
class Model:
    """A network and the shards that it takes.

    `settings` are its name and what else it was built with; `shards` is what those of its training have in common.
    With `quantiles` its outputs are these of the mass, and `widening` is what their distances from the middle one are
    to be multiplied with, as the validation jets have it.
    """

    network: Network
    settings: Mapping
    shards: ShardMeta
    quantiles: tuple[float, ...] = ()
    widening: float = 1.0

    @classmethod
    def new(cls, settings: Mapping, shards: ShardMeta, quantiles: Sequence[float] = ()) -> "Model":
        """A network with fresh weights, from torch's global random state."""
        network = build_network(settings, shards, len(quantiles) or 1)
        return cls(network, dict(settings), shards, tuple(quantiles))

    def save(self, path: Path) -> None:
        """Write weights and metadata."""
        about = {"version": VERSION, "network": self.settings, "shards": asdict(self.shards)}
        about |= {"quantiles": self.quantiles, "widening": self.widening}
        with whole(path) as part:
            part.write_bytes(to_bytes(self.network.state_dict(), json.dumps(about, sort_keys=True)))

    @classmethod
    def load(cls, path: Path) -> "Model":
        """Read; BadInput if the file is damaged, of another version, or not a model of this project."""
        try:
            weights, text = read_tensors(path)
            about = json.loads(text)
            if (version := about.get("version", 1)) != VERSION:
                raise BadInput(f"{path}: a model of version {version}, this code reads {VERSION}")
            shards = ShardMeta.parse(json.dumps(about["shards"]), path)
            model = cls.new(about["network"], shards, about["quantiles"])
            model.network.load_state_dict(weights)
            model.widening = float(about["widening"])
        except DAMAGED as error:
            raise damage(error, f"{path}: not a model of topmass") from None
        return model
