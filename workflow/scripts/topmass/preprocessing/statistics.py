"""Statistics of a dataset: layer scales, flattening and jet counts."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from topmass.files import BadInput, atomic_write
from topmass.layers import find_layers
from topmass.preprocessing.flattening import Flattening
from topmass.preprocessing.scaling import require_scales
from topmass.preprocessing.split import SPLITS, hash_uniform

STATISTICS_VERSION = 4
METHODS = ("reject", "weights")


@dataclass
class Statistics:
    """Statistics of a dataset.

    Attributes:
        sample: Name of the sample.
        split: Fraction of each split.
        layers: Names of the layers.
        cells: Cell side of each layer, pixels.
        scales: Scale of each layer, in the unit of the layer.
        flattening: Bins and keep probabilities.
        method: Flattening method, "reject" or "weights".
        jets: Number of jets per split.
        outside: Number of jets outside the bins.
        kept: Output of `keep_fractions` per split.
        target: Column of the jet tables that is the target: "mass" or one of `GENERATED_JET_MASSES`.
    """

    sample: str
    split: dict[str, float]
    layers: list[str]
    cells: list[int]
    scales: list[float]
    flattening: Flattening
    method: str
    jets: dict[str, int]
    outside: int
    kept: dict[str, dict[str, float]]
    target: str = "mass"

    def __post_init__(self) -> None:
        find_layers(self.layers, self.cells)
        require_scales(self.scales, len(self.layers))
        if self.split.keys() != set(SPLITS) or not np.isclose(sum(self.split.values()), 1):
            raise ValueError(f"the fractions of {', '.join(SPLITS)} are to add up to 1")
        if self.method not in METHODS:
            raise ValueError(f"no method '{self.method}' of flattening")

    def weights(self, split: str, mass: np.ndarray, pt: np.ndarray, event: np.ndarray) -> np.ndarray:
        """Return flattening weights (N,), float32; jets of weight zero are dropped. Mass and pT (N,) are in GeV.

        Only the method "weights" in the training split gives real-valued weights. All other weights are one or zero, so
        that errors on validation and test jets do not depend on the method.
        """
        if self.method == "weights" and split == "train":
            return self.flattening.weights(mass, pt)
        return self.flattening.accepts(mass, pt, hash_uniform(self.sample, "unbias", event)).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write the statistics as JSON."""
        content = {"version": STATISTICS_VERSION, **asdict(self)}
        content["flattening"] = {name: values.tolist() for name, values in vars(self.flattening).items()}
        content["checksum"] = content_checksum(content)
        with atomic_write(path) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Load the statistics from JSON; raise BadInput if the file is not an unchanged output of `save`."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["version"] != STATISTICS_VERSION:
                version = content["version"]
                raise BadInput(f"{path}: statistics of version {version}, this code reads {STATISTICS_VERSION}")
            if content.pop("checksum") != content_checksum(content):
                raise BadInput(f"{path}: damaged or changed by hand: its checksum is another")
            del content["version"]
            arrays = {name: np.array(values) for name, values in content.pop("flattening").items()}
            return cls(flattening=Flattening(**arrays), **content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{path}: not the statistics of a dataset ({error})") from None


def content_checksum(content: dict) -> str:
    """Return the truncated SHA-256 of the content, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
