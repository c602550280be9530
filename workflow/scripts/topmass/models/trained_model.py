"""Trained models as safetensors files: weights, and metadata that are needed to use them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from topmass.files import BadInput, atomic_write, classify_read_error
from topmass.models.build import build_network
from topmass.models.network import Network
from topmass.models.safetensors_io import CORRUPT_TENSORS, read_tensors, to_bytes
from topmass.preprocessing.distribution import JetSummary
from topmass.preprocessing.shards import ShardMeta

MODEL_VERSION = 4


@dataclass
class TrainedModel:
    """A network with the metadata that are needed to use it.

    Attributes:
        network: The network.
        settings: Its name and the keyword arguments that it was built with.
        shards: Metadata of the shards that it was trained on.
        quantiles: Quantiles of the mass that its outputs are; empty for the mass alone.
        conformal_scale: Factor of the distances between quantiles, fitted on the validation jets.
        training: Distribution of the training jets; None before training.
    """

    network: Network
    settings: Mapping
    shards: ShardMeta
    quantiles: tuple[float, ...] = ()
    conformal_scale: float = 1.0
    training: JetSummary | None = None

    @classmethod
    def new(cls, settings: Mapping, shards: ShardMeta, quantiles: Sequence[float] = ()) -> "TrainedModel":
        """Build a network with initial weights from torch's global random state."""
        network = build_network(settings, shards, len(quantiles) or 1)
        return cls(network, dict(settings), shards, tuple(quantiles))

    def save(self, path: Path) -> None:
        """Write weights and metadata."""
        about = {"version": MODEL_VERSION, "network": self.settings, "shards": asdict(self.shards)}
        about |= {"quantiles": self.quantiles, "conformal_scale": self.conformal_scale}
        about |= {"training": self.training and self.training.dump()}
        with atomic_write(path) as part:
            part.write_bytes(to_bytes(self.network.state_dict(), json.dumps(about, sort_keys=True)))

    @classmethod
    def load(cls, path: Path) -> "TrainedModel":
        """Load a model file.

        Raises:
            BadInput: The file is corrupt, of another version, or not a model of this project.
        """
        try:
            weights, text = read_tensors(path)
            about = json.loads(text)
            if (version := about.get("version", 1)) != MODEL_VERSION:
                raise BadInput(f"{path}: a model of version {version}, this code reads {MODEL_VERSION}")
            shards = ShardMeta.parse(json.dumps(about["shards"]), path)
            model = cls.new(about["network"], shards, about["quantiles"])
            model.network.load_state_dict(weights)
            model.conformal_scale = float(about["conformal_scale"])
            model.training = about["training"] and JetSummary.parse(about["training"])
        except CORRUPT_TENSORS as error:
            raise classify_read_error(error, f"{path}: not a model of topmass") from None
        return model
