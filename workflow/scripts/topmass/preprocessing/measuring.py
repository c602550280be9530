"""Measure the statistics of a dataset: all its tables, a row group at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from topmass.files import BadInput
from topmass.jets import JetBatch, JetTable
from topmass.preprocessing.conversion import find_positions
from topmass.preprocessing.repeats import refuse_repeats
from topmass.preprocessing.scaling import BINS, magnitude_histogram, quantile
from topmass.preprocessing.split import SPLITS, split_of
from topmass.preprocessing.statistics import Statistics
from topmass.preprocessing.unbias import chi_squared, count, flatten

"""The one bin in pT, GeV, of a flattening in mass alone."""


@dataclass
class Counts:
    """What one pass over the tables finds.

    `jets` by split; `inside` (splits, mass bins, pT bins), those of a bin; `magnitudes` (layers, BINS) of the training
    jets; `cells` the side of each layer's cells in each table, pixels; `ranges` lowest and highest event of each table.
    """

    layers: Sequence[str]
    mass_edges: np.ndarray
    pt_edges: np.ndarray
    jets: np.ndarray = field(init=False)
    inside: np.ndarray = field(init=False)
    magnitudes: np.ndarray = field(init=False)
    cells: list[list[int]] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jets = np.zeros(len(SPLITS), np.int64)
        self.inside = np.zeros((len(SPLITS), len(self.mass_edges) - 1, len(self.pt_edges) - 1), np.int64)
        self.magnitudes = np.zeros((len(self.layers), BINS), np.int64)

    def add_table(self, table: JetTable, sample: str, split: Mapping[str, float]) -> None:
        """Count all jets of a table. A magnitude counts once for each pixel of its cell, as in the dense image."""
        positions = find_positions(table.path, table.layers, self.layers)
        cells = [table.layers[position].cell for position in positions]
        low, high = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        for batch in table.batches():
            part = split_of(sample, batch.event, split)
            self.add_jets(batch, part)
            training = np.repeat(part == SPLITS.index("train"), np.diff(batch.offset))
            for i, position in enumerate(positions):
                counted = magnitude_histogram(batch.value[training & (batch.layer == position)])
                self.magnitudes[i] += counted * cells[i] ** 2
            low, high = min(low, int(batch.event.min())), max(high, int(batch.event.max()))
        self.cells.append(cells)
        self.ranges.append((low, high))

    def add_jets(self, batch: JetBatch, part: np.ndarray) -> None:
        """Count the jets of a batch, whose splits are `part`."""
        self.jets += np.bincount(part, minlength=len(SPLITS))
        for i in range(len(SPLITS)):
            self.inside[i] += count(self.mass_edges, self.pt_edges, batch.mass[part == i], batch.pt[part == i])


def measure_all(
    tables: Sequence[Path],
    sample: str,
    split: Mapping[str, float],
    layers: Sequence[str],
    scales: Mapping[str, float],
    scale_quantile: float,
    mass_edges: Sequence[float],
    pt_edges: Sequence[float],
    method: str,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Statistics:
    """Read all tables once, one row group at a time, and the numbers of their jets twice more.

    Scales are those given, else the quantile of the magnitudes of the layer's non-zero values. Scales and the density
    of the mass come from the training split; what the flattening leaves is counted in all three. A layer has the
    smallest cells that it has in any table.
    """
    counts = Counts(layers, np.asarray(mass_edges), np.asarray(pt_edges))
    for path in progress(tables):
        counts.add_table(JetTable(path), sample, split)
    refuse_repeats(tables, np.array(counts.ranges))
    flattening = flatten(mass_edges, pt_edges, counts.inside[SPLITS.index("train")])
    found = [
        scales.get(name) or scale_of(name, histogram, scale_quantile)
        for name, histogram in zip(layers, counts.magnitudes, strict=True)
    ]
    statistics = Statistics(
        sample, dict(split), list(layers), np.min(counts.cells, axis=0).tolist(), found, flattening, method,
        dict(zip(SPLITS, counts.jets.tolist(), strict=True)), int(counts.jets.sum() - counts.inside.sum()), {},
    )  # fmt: skip
    statistics.kept = what_is_kept(tables, statistics)
    return statistics


def scale_of(layer: str, histogram: np.ndarray, share: float) -> float:
    """The quantile of a layer's magnitudes; BadInput if it has no value other than zero."""
    if not histogram.any():
        raise BadInput(f"layer '{layer}' is zero in all training jets: give its scale, or leave it out")
    return quantile(histogram, share)


def what_is_kept(tables: Sequence[Path], known: Statistics) -> dict[str, dict[str, float]]:
    """By split: jets kept, their share, and χ² of their distribution against a flat one. BadInput if none are."""
    jets = np.zeros(len(SPLITS), np.int64)
    sums = np.zeros((len(SPLITS), *known.flattening.acceptance.shape))
    edges = known.flattening.mass_edges, known.flattening.pt_edges
    for path in tables:
        for rows in JetTable(path).columns(("mass", "pt", "event")):
            part = split_of(known.sample, rows["event"], known.split)
            for i, name in enumerate(SPLITS):
                mass, pt, event = (rows[column][part == i] for column in ("mass", "pt", "event"))
                weight = known.weights(name, mass, pt, event)
                jets[i] += np.count_nonzero(weight)
                sums[i] += count(*edges, mass, pt, weight)
    result = {}
    for i, (name, total) in enumerate(known.jets.items()):
        if not jets[i]:
            raise BadInput(
                f"no jet is left in the split '{name}' ({total} before unbiasing): take more jets or a larger fraction"
            )
        chi2, degrees = chi_squared(sums[i])
        share = float(jets[i] / total)
        result[name] = {"jets": int(jets[i]), "share": share, "chi2": chi2, "degrees_of_freedom": degrees}
    return result
