"""Network `module`: a `torch.nn.Module` of the user, from a Python file."""

import hashlib
import importlib.abc
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import CodeType, MappingProxyType, ModuleType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from topmass.data.batches import SparseBatch, to_dense_images
from topmass.features.hits import decode_hits
from topmass.features.leading_towers import TOWER_COLUMNS, TOWER_PARITY, leading_towers
from topmass.features.particles import PARTICLE_COLUMNS, PARTICLE_PARITY, leading_particles
from topmass.features.towers import build_towers
from topmass.files import BadInput, resource_exhausted
from topmass.models.kinematics import jet_feature_parity, jet_features
from topmass.models.network import InputNorm, Network
from topmass.network_file import NETWORK_INPUTS, named_inputs, require_known
from topmass.preprocessing.shards import ShardMeta

MODULE = "module"
"""Name of this network in the configuration."""
SOURCE_FILE = "network.py"
"""Name of the copy of the user's file next to a model."""
MODULE_PARTICLE_COLUMNS = 8
"""Columns of a particle: pT, Δη, Δφ, energy, kind, d0, dz, mask."""


class ModuleNetwork(Network):
    """A user's network, which receives the inputs that its `forward` names.

    Args:
        file: Python file, for loading and messages.
        class_name: Name of the class in the file.
        settings: Keyword arguments of the class.
        particles: Number of leading particles.
        towers: Number of leading towers.
        sha256: Required SHA-256 of the file; None accepts any.

    Attributes:
        source: Content of the file.
        sha256: SHA-256 of the content.

    Raises:
        BadInput: The file, the class or its settings are unusable.
    """

    def __init__(
        self,
        shards: ShardMeta,
        n_outputs: int,
        file: str,
        class_name: str,
        settings: Mapping = MappingProxyType({}),
        particles: int = 64,
        towers: int = 40,
        sha256: str | None = None,
    ) -> None:
        super().__init__(shards, n_outputs)
        self.file, self.particles, self.towers, self.checked = file, particles, towers, False
        self.source = Path(file).read_bytes()
        self.sha256 = hashlib.sha256(self.source).hexdigest()
        if sha256 not in (None, self.sha256):
            raise BadInput(f"{file}: not the file of the training (SHA-256 {self.sha256} instead of {sha256})")
        named_inputs(self.source, file, class_name)
        with self.errors_with_line("executing the file", everywhere=True):
            user_class = getattr(execute(self.source, file, self.sha256), class_name)
        self.inputs = forward_inputs(user_class, f"{file}: class {class_name}")
        parity = {
            "jet_features": jet_feature_parity(shards),
            "particles": np.repeat(PARTICLE_PARITY, particles),
            "towers": np.repeat(TOWER_PARITY, towers),
        }
        parity = {name: each for name, each in parity.items() if name in self.inputs}
        self.register_features([*chain.from_iterable(parity.values())])
        self.sizes = {name: len(each) for name, each in parity.items()}
        self.needs_hits = bool({"image", "hits"} & {*self.inputs})
        n_features = self.sizes.get("jet_features", 0)
        shapes = {
            "particles": (particles, MODULE_PARTICLE_COLUMNS),
            "towers": (towers, TOWER_COLUMNS),
            "jet_features": (n_features,),
            "image": (len(shards.layers), shards.side, shards.side),
        }
        self.input_norm = InputNorm(n_features)
        arguments = {"n_outputs": n_outputs, "shapes": {name: shapes[name] for name in shapes if name in self.inputs}}
        with self.errors_with_line(f"class {class_name}", everywhere=True):
            named = inspect.signature(user_class.__init__).parameters
            self.backbone = user_class(**{name: arguments[name] for name in arguments if name in named}, **settings)
        parameters = list(self.backbone.parameters())
        if any(map(is_lazy, parameters)):
            raise BadInput(
                f"{file}: class {class_name}: lazy layers; to fix: take the sizes from the argument `shapes`"
            )
        if not any(parameter.requires_grad for parameter in parameters):
            raise BadInput(f"{file}: class {class_name}: no parameter to train")

    @contextmanager
    def errors_with_line(self, what: str, everywhere: bool = False) -> Iterator[None]:
        """Raise BadInput with file and line for an error of the user's code.

        Args:
            what: Action, for the message.
            everywhere: Whether errors whose traceback does not contain the user's file are translated as well.
        """
        try:
            yield
        except Exception as error:
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self.file]
            if isinstance(error, BadInput) or resource_exhausted(error) or not (lines or everywhere):
                raise
            line = f", line {lines[-1]}" if lines else ""
            reason = " ".join(str(error).split())
            raise BadInput(f"{self.file}{line}: {what}: {type(error).__name__}: {reason}") from None

    def compute_features(self, batch: SparseBatch) -> Tensor:
        """Compute jet features, particles and towers, as far as they are inputs. See `Network.compute_features`."""
        if not self.sizes:
            return super().compute_features(batch)
        hits = decode_hits(batch, self.shards)
        towers = build_towers(hits)
        functions = {
            "jet_features": lambda: jet_features(batch, hits, towers, self.shards),
            "particles": lambda: leading_particles(hits, towers, self.particles).flatten(1),
            "towers": lambda: leading_towers(towers, self.towers).flatten(1),
        }
        return torch.cat([functions[name]() for name in self.sizes], dim=1)

    def make_inputs(self, batch: SparseBatch) -> dict[str, object]:
        """Return the inputs of the user's network by name."""
        parts = self.cached_features(batch).split([*self.sizes.values()], dim=1) if self.sizes else ()
        inputs: dict[str, object] = dict(zip(self.sizes, parts, strict=True))
        if "jet_features" in inputs:
            inputs["jet_features"] = self.input_norm(inputs["jet_features"])
        if "particles" in inputs:
            pt, eta, phi, kind, *impact = inputs["particles"].unflatten(1, (PARTICLE_COLUMNS, -1)).unbind(1)
            columns = [pt, eta, phi, pt * eta.cosh(), kind, *impact, (pt > 0).to(pt.dtype)]
            inputs["particles"] = torch.stack(columns, dim=2)
        if "towers" in inputs:
            inputs["towers"] = inputs["towers"].unflatten(1, (TOWER_COLUMNS, -1)).mT
        if "image" in self.inputs:
            inputs["image"] = to_dense_images(batch, self.shards)
        if "hits" in self.inputs:
            hits = decode_hits(batch, self.shards)
            inputs["hits"] = type(hits)(*(each.float() if each.is_floating_point() else each for each in hits))
        return inputs

    def fit_input_norm(self, batch: SparseBatch) -> None:
        """Fit mean and standard deviation of the jet features. See `Network.fit_input_norm`."""
        if "jet_features" in self.sizes:
            self.input_norm.fit(self.cached_features(batch)[:, : self.sizes["jet_features"]])

    def forward(self, batch: SparseBatch) -> Tensor:
        """See `Network.forward`; the outputs are sorted, so that quantiles ascend.

        Raises:
            BadInput: The user's code fails, has another shape as output, or is not finite in the first training batch.
        """
        with self.errors_with_line("forward"):
            outputs = self.backbone(**self.make_inputs(batch))
        # The exporter would record these checks.
        if not torch.jit.is_tracing():
            self.check(outputs, (batch.position.shape[0], self.n_outputs))
        # The exporter infers a wrong number of columns for some operations, and would use it as a constant.
        outputs = outputs.float().reshape(-1, self.n_outputs)
        return outputs.sort(dim=1).values if self.n_outputs > 1 else outputs

    def check(self, outputs: object, shape: tuple[int, int]) -> None:
        """Raise BadInput if the outputs have another shape, or are not finite in the first training batch."""
        if not isinstance(outputs, Tensor) or outputs.shape != shape:
            found = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else f"type {type(outputs).__name__}"
            raise BadInput(f"{self.file}: forward returns {found}; expected (jets, outputs) = {shape}")
        if self.training and not self.checked:
            self.checked = True
            if not outputs.isfinite().all():
                raise BadInput(f"{self.file}: forward returns values that are not finite in the first batch")


class SourceLoader(importlib.abc.InspectLoader):
    """Loader of a module from source code in memory, so that the executed code is the code that was checked."""

    def __init__(self, source: bytes, file: str) -> None:
        self.source, self.file = source, file

    def get_source(self, fullname: str) -> str:
        """Return the source code."""
        return importlib.util.decode_source(self.source)

    def get_code(self, fullname: str) -> CodeType:
        """Return the compiled code; its tracebacks name the file."""
        return self.source_to_code(self.source, self.file)


def execute(source: bytes, file: str, sha256: str) -> ModuleType:
    """Execute the source code of a file and return its module."""
    spec = importlib.util.spec_from_loader(f"topmass_network_{sha256[:16]}", SourceLoader(source, file))
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and torch.compile search for the module of a class by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def forward_inputs(user_class: object, where: str) -> list[str]:
    """Return the inputs that `forward` of a user's class names; `where` is the place for messages.

    Raises:
        BadInput: It is not a `torch.nn.Module`, or an input does not exist.
    """
    if not (isinstance(user_class, type) and issubclass(user_class, nn.Module)):
        raise BadInput(f"{where}: not a torch.nn.Module")
    parameters = [*inspect.signature(user_class.forward).parameters.values()][1:]
    names = [each.name for each in parameters if each.default is each.empty or each.name in NETWORK_INPUTS]
    require_known(names, where)
    return names
