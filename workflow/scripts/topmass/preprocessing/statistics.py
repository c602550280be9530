"""What preprocessing needs to know of all jets of a dataset: the scale of each layer and the mass distribution."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topmass.files import BadInput, whole
from topmass.jets import JetTable
from topmass.preprocessing.scaling import BINS, magnitude_histogram, quantile
from topmass.preprocessing.split import SPLITS, split_of, uniform
from topmass.preprocessing.unbias import Flattening, chi_squared, count, flatten

VERSION = 1
ANY_PT = (0.0, 1e6)
"""The one bin in pT, GeV, of a flattening in mass alone."""


@dataclass
class Statistics:
    """`layers` and `scales` in the dataset's order; `split` the fractions; `kept` what unbiasing leaves, by split."""

    sample: str
    split: dict[str, float]
    layers: list[str]
    scales: list[float]
    flattening: Flattening
    jets: dict[str, int]
    outside: int
    kept: dict[str, dict[str, float]]

    def save(self, path: Path) -> None:
        """Write as JSON."""
        content = {
            "version": VERSION,
            **{
                name: getattr(self, name) for name in ("sample", "split", "layers", "scales", "jets", "outside", "kept")
            },
            "flattening": {name: values.tolist() for name, values in vars(self.flattening).items()},
        }
        with whole(path) as part:
            part.write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Read from JSON; BadInput if that is not what `save` wrote."""
        try:
            content = json.loads(path.read_text())
            version, flattening = content.pop("version"), content.pop("flattening")
            if version != VERSION:
                raise BadInput(f"{path}: statistics of version {version}, this code reads {VERSION}")
            return cls(
                flattening=Flattening(**{name: np.array(values) for name, values in flattening.items()}), **content
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{path}: not the statistics of a dataset ({error})") from None


def digest_of(path: Path) -> str:
    """Sixteen hexadecimal digits that name these statistics in every shard and model made with them."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def measure_all(
    tables: Sequence[Path],
    sample: str,
    split: Mapping[str, float],
    layers: Sequence[str],
    scales: Mapping[str, float],
    scale_quantile: float,
    mass_edges: Sequence[float],
    pt_edges: Sequence[float],
    progress: Callable[[Iterable], Iterable] = iter,
) -> Statistics:
    """Read all tables once, one row group at a time, and their masses a second time.

    Scales are those given, else the quantile of the magnitudes of the layer's non-zero values. Scales and the density
    of the mass come from the training split; what the flattening leaves is counted in all three.
    """
    histograms = np.zeros((len(layers), BINS), np.int64)
    counts = np.zeros((len(SPLITS), len(mass_edges) - 1, len(pt_edges) - 1), np.int64)
    jets = np.zeros(len(SPLITS), np.int64)
    for path in progress(tables):
        table = JetTable(path)
        positions = find_layers(table, layers)
        for batch in table.batches():
            part = split_of(sample, batch.event, split)
            jets += np.bincount(part, minlength=len(SPLITS))
            for i in range(len(SPLITS)):
                counts[i] += count(mass_edges, pt_edges, batch.mass[part == i], batch.pt[part == i])
            training = np.repeat(part == SPLITS.index("train"), np.diff(batch.offset))
            for i, position in enumerate(positions):
                histograms[i] += magnitude_histogram(batch.value[training & (batch.layer == position)])
    flattening = flatten(mass_edges, pt_edges, counts[SPLITS.index("train")])
    found = [
        scales.get(name) or scale_of(name, histogram, scale_quantile)
        for name, histogram in zip(layers, histograms, strict=True)
    ]
    return Statistics(
        sample, dict(split), list(layers), found, flattening, dict(zip(SPLITS, jets.tolist(), strict=True)),
        int(jets.sum() - counts.sum()), what_is_kept(tables, sample, split, flattening, jets),
    )  # fmt: skip


def find_layers(table: JetTable, layers: Sequence[str]) -> list[int]:
    """Positions of the layers in the table; BadInput if it lacks one."""
    names = [layer.name for layer in table.layers]
    missing = [name for name in layers if name not in names]
    if missing:
        raise BadInput(f"{table.path}: no layer '{missing[0]}'; it has {', '.join(names)}")
    return [names.index(name) for name in layers]


def scale_of(layer: str, histogram: np.ndarray, share: float) -> float:
    """The quantile of a layer's magnitudes; BadInput if it has no value other than zero."""
    if not histogram.any():
        raise BadInput(f"layer '{layer}' is zero in all training jets: give its scale, or leave it out")
    return quantile(histogram, share)


def what_is_kept(
    tables: Sequence[Path], sample: str, split: Mapping[str, float], flattening: Flattening, jets: np.ndarray
) -> dict[str, dict[str, float]]:
    """By split: jets kept, their share, and χ² of their distribution against a flat one. BadInput if none are."""
    counts = np.zeros((len(SPLITS), *flattening.acceptance.shape), np.int64)
    for path in tables:
        for rows in JetTable(path).columns(("mass", "pt", "event")):
            mass, pt, event = rows["mass"], rows["pt"], rows["event"]
            kept = flattening.keeps(mass, pt, uniform(sample, "unbias", event))
            part = split_of(sample, event, split)
            for i in range(len(SPLITS)):
                chosen = kept & (part == i)
                counts[i] += count(flattening.mass_edges, flattening.pt_edges, mass[chosen], pt[chosen])
    result = {}
    for name, total, kept in zip(SPLITS, jets.tolist(), counts, strict=True):
        if not kept.any():
            raise BadInput(
                f"no jet is left in the split '{name}' ({total} before unbiasing): take more jets or a larger fraction"
            )
        chi2, degrees = chi_squared(kept)
        result[name] = {
            "jets": int(kept.sum()),
            "share": kept.sum() / total,
            "chi2": chi2,
            "degrees_of_freedom": degrees,
        }
    return result
