"""Trained models as safetensors files: weights, and metadata that are needed to use them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from topmass.files import BadInput, atomic_write, classify_read_error
from topmass.models.kinematics import Kinematics
from topmass.models.module import MODULE, SOURCE_FILE, ModuleNetwork
from topmass.models.network import Network
from topmass.models.prongs import Prongs
from topmass.models.resnet15 import ResNet15
from topmass.models.safetensors_io import CORRUPT_TENSORS, read_tensors, to_bytes
from topmass.models.transformer import Transformer
from topmass.preprocessing.distribution import JetSummary
from topmass.preprocessing.shards import ShardMeta

MODEL_VERSION = 4
NETWORKS = {"resnet15": ResNet15, "kinematics": Kinematics, "transformer": Transformer, "prongs": Prongs}
"""Classes of the networks of this project by their names in the configuration."""


def build_network(network: Mapping, shards: ShardMeta, n_outputs: int) -> Network:
    """Build a network from its settings.

    Args:
        network: `name`, one of `NETWORKS` or `MODULE`, and the keyword arguments of its class.
        shards: Metadata of the shards.
        n_outputs: Outputs per jet.

    Raises:
        BadInput: The user's file of a `MODULE` is unusable.
        ValueError: There is no such network, or it cannot have these settings.
    """
    settings = dict(network)
    name = settings.pop("name")
    if name == MODULE:
        return ModuleNetwork(shards, n_outputs, class_name=settings.pop("class"), **settings)
    if name not in NETWORKS:
        raise ValueError(f"no network '{name}'")
    return NETWORKS[name](shards, n_outputs, **settings)


@dataclass
class TrainedModel:
    """A network with the metadata that are needed to use it.

    Attributes:
        network: The network.
        settings: Its name and the keyword arguments that it was built with. For a `MODULE`, `file` is the name of the
            file without folders, and `sha256` the digest of its content.
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
        settings = dict(settings)
        if isinstance(network, ModuleNetwork):
            settings |= {"file": Path(network.file).name, "sha256": network.sha256}
        return cls(network, settings, shards, tuple(quantiles))

    def save(self, path: Path) -> None:
        """Write weights and metadata, and the source code of a `MODULE` as `SOURCE_FILE` next to them."""
        if isinstance(self.network, ModuleNetwork):
            with atomic_write(path.with_name(SOURCE_FILE)) as part:
                part.write_bytes(self.network.source)
        metadata = {"version": MODEL_VERSION, "network": self.settings, "shards": asdict(self.shards)}
        metadata |= {"quantiles": self.quantiles, "conformal_scale": self.conformal_scale}
        metadata |= {"training": self.training and self.training.dump()}
        with atomic_write(path) as part:
            part.write_bytes(to_bytes(self.network.state_dict(), json.dumps(metadata, sort_keys=True)))

    def copy_weights(self, path: Path) -> str:
        """Copy weights and input normalisation of a model file; return a line for the log.

        Raises:
            BadInput: The file is no model, or its network, layers or weights differ from those of this model.
        """
        other = TrainedModel.load(path)
        for what in ("layers", "cells", "compression", "position"):
            theirs, own = getattr(other.shards, what), getattr(self.shards, what)
            if theirs != own:
                raise BadInput(f"{path}: start_from: a model of {what} {theirs}; expected those of the dataset: {own}")
        try:
            if other.settings["name"] != self.settings["name"]:
                raise RuntimeError(f"the network is {other.settings['name']}, not {self.settings['name']}")
            self.network.load_state_dict(other.network.state_dict())
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            wanted = "expected a model with the network and the number of quantiles of this experiment"
            raise BadInput(f"{path}: start_from: other weights; {wanted} ({reason})") from None
        scales = ""
        # Other networks receive values in physical units.
        if self.network.needs_hits and other.shards.scales != self.shards.scales:
            old = ", ".join(
                f"{name}: {scale:.6g}" for name, scale in zip(self.shards.layers, other.shards.scales, strict=True)
            )
            scales = (
                f"; the layers have other scales now; to keep those of the model: datasets.NAME.scales: {{ {old} }}"
            )
        normalisation = "its input normalisation is that of the model, not fitted to these jets"
        return f"starting with the weights of {path}; {normalisation}{scales}"

    @classmethod
    def load(cls, path: Path) -> "TrainedModel":
        """Load a model file.

        The model of a `MODULE` contains no code, but the SHA-256 of `SOURCE_FILE` next to it, which is executed.

        Raises:
            BadInput: The file is corrupt, of another version, or not a model of this project, or `SOURCE_FILE` is
                missing or has another SHA-256.
        """
        try:
            weights, text = read_tensors(path)
            metadata = json.loads(text)
            if (version := metadata.get("version", 1)) != MODEL_VERSION:
                raise BadInput(f"{path}: a model of version {version}, this code reads {MODEL_VERSION}")
            shards = ShardMeta.parse(json.dumps(metadata["shards"]), path)
            settings = metadata["network"]
            model = cls.new(with_source(settings, path), shards, metadata["quantiles"])
            model.settings = settings
            model.network.load_state_dict(weights)
            model.conformal_scale = float(metadata["conformal_scale"])
            model.training = metadata["training"] and JetSummary.parse(metadata["training"])
        except CORRUPT_TENSORS as error:
            raise classify_read_error(error, f"{path}: not a model of topmass") from None
        return model


def with_source(settings: Mapping, path: Path) -> Mapping:
    """Return the recorded settings of a network in a model file, with the path of `SOURCE_FILE` for a `MODULE`.

    Raises:
        BadInput: The file is missing.
        KeyError: The settings have no SHA-256.
    """
    if settings["name"] != MODULE:
        return settings
    source = path.with_name(SOURCE_FILE)
    if not source.exists():
        raise BadInput(f"{path}: its network is in {SOURCE_FILE}, which is not next to it; copy both files")
    # A forged null would accept any file.
    return {**settings, "file": str(source), "sha256": str(settings["sha256"])}
