"""What preprocessing needs to know of all jets of a dataset: the scale of each layer and the mass distribution."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from topmass.files import BadInput, whole
from topmass.layers import find_layers
from topmass.preprocessing.scaling import require_scales
from topmass.preprocessing.split import SPLITS, uniform
from topmass.preprocessing.unbias import Flattening

VERSION = 2
METHODS = ("reject", "weights")


@dataclass
class Statistics:
    """What is known of a dataset.

    `layers`, `cells` (side of a cell, pixels) and `scales` are in the dataset's order; `split` are the fractions;
    `method` of unbiasing is reject or weights; `jets` counts by split, `outside` those of no bin, `kept` what is left.
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

    def __post_init__(self) -> None:
        find_layers(self.layers, self.cells)
        require_scales(self.scales, len(self.layers))
        if self.split.keys() != set(SPLITS) or not np.isclose(sum(self.split.values()), 1):
            raise ValueError(f"the fractions of {', '.join(SPLITS)} are to add up to 1")
        if self.method not in METHODS:
            raise ValueError(f"no method '{self.method}' of unbiasing")

    def weights(self, split: str, mass: np.ndarray, pt: np.ndarray, event: np.ndarray) -> np.ndarray:
        """Weights (N,), float32, of jets of this split that make them flat; a jet of weight zero is dropped.

        By "weights" those of the training are real numbers. Everywhere else a jet has weight one or zero, so that
        errors on validation and test jets mean the same whatever the method.
        """
        if self.method == "weights" and split == "train":
            return self.flattening.weights(mass, pt)
        return self.flattening.keeps(mass, pt, uniform(self.sample, "unbias", event)).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        content = {"version": VERSION, **asdict(self)}
        content["flattening"] = {name: values.tolist() for name, values in vars(self.flattening).items()}
        content["checksum"] = checksum(content)
        with whole(path) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Read from JSON; BadInput if that is not what `save` wrote."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["version"] != VERSION:
                raise BadInput(f"{path}: statistics of version {content['version']}, this code reads {VERSION}")
            if content.pop("checksum") != checksum(content):
                raise BadInput(f"{path}: damaged or changed by hand: its checksum is another")
            del content["version"]
            flattening = content.pop("flattening")
            return cls(
                flattening=Flattening(**{name: np.array(values) for name, values in flattening.items()}), **content
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{path}: not the statistics of a dataset ({error})") from None


def checksum(content: dict) -> str:
    """Sixteen hexadecimal digits that tell whether these numbers are those that were measured."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def digest_of(path: Path) -> str:
    """Sixteen hexadecimal digits that name these statistics in every shard and model made with them."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
