"""Statistics of a dataset, computed from its tables by row group."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info
from topmass.files import BadInput
from topmass.jets import JetTable
from topmass.preprocessing.duplicates import check_duplicates, hash_contents
from topmass.preprocessing.flattening import SINGLE_PT_BIN, bin_edges, chi_squared, flatten, histogram_counts
from topmass.preprocessing.scaling import MAGNITUDE_BINS, histogram_quantile, magnitude_histogram
from topmass.preprocessing.shard_builder import find_positions
from topmass.preprocessing.split import SPLITS, assign_split
from topmass.preprocessing.statistics import Statistics
from topmass.progress import track
from topmass.units import PLAUSIBLE, describe_range, find_unit

SEVERAL = 10
"""Minimum number of different event numbers for a split by event."""


class Counts:
    """Counts from one pass over the tables; `layers` are names, and edges are in GeV."""

    def __init__(self, layers: Sequence[str], mass_edges: np.ndarray, pt_edges: np.ndarray) -> None:
        self.layers, self.mass_edges, self.pt_edges = layers, mass_edges, pt_edges
        self.jets = np.zeros(len(SPLITS), np.int64)
        # Jets per split, mass bin and pT bin.
        self.inside = np.zeros((len(SPLITS), len(mass_edges) - 1, len(pt_edges) - 1), np.int64)
        # Histogram of the values of the training jets, per layer.
        self.magnitudes = np.zeros((len(layers), MAGNITUDE_BINS), np.int64)
        # Cell sides in pixels per layer, and hashes of the jets, per table.
        self.cells: list[list[int]] = []
        self.contents: list[np.ndarray] = []
        # Lowest event numbers, at most SEVERAL.
        self.events = np.zeros(0, np.int64)
        # Extrema of mass and pT, GeV.
        self.lowest, self.highest = np.full(2, np.inf), np.full(2, -np.inf)

    def add_table(self, table: JetTable, sample: str, split: Mapping[str, float]) -> None:
        """Count all jets of a table; a value counts one time per pixel of its cell, as in the dense image."""
        positions = find_positions(table.path, table.layers, self.layers)
        cells = [table.layers[position].cell for position in positions]
        contents = [np.zeros(0, np.uint64)]
        for batch in table.batches():
            part = assign_split(sample, batch.event, split)
            self.jets += np.bincount(part, minlength=len(SPLITS))
            for i in range(len(SPLITS)):
                mass, pt = batch.mass[part == i], batch.pt[part == i]
                self.inside[i] += histogram_counts(self.mass_edges, self.pt_edges, mass, pt)
            self.lowest = np.minimum(self.lowest, [batch.mass.min(), batch.pt.min()])
            self.highest = np.maximum(self.highest, [batch.mass.max(), batch.pt.max()])
            training = np.repeat(part == SPLITS.index("train"), np.diff(batch.offset))
            for i, position in enumerate(positions):
                histogram = magnitude_histogram(batch.value[training & (batch.layer == position)])
                self.magnitudes[i] += histogram * cells[i] ** 2
            contents.append(hash_contents(batch, table.layers))
            self.events = np.union1d(self.events, batch.event)[:SEVERAL]
        self.cells.append(cells)
        self.contents.append(np.concatenate(contents))

    def check(self, sample: str) -> None:
        """Raise BadInput if all jets are outside the flattening range, or if jets cannot be split by event."""
        jets, events = int(self.jets.sum()), len(self.events)
        for i, (name, edges) in enumerate((("mass", self.mass_edges), ("pt", self.pt_edges)) if jets else ()):
            extrema = np.array([self.lowest[i], self.highest[i]])
            if extrema[0] > edges[-1] or extrema[1] < edges[0]:
                problem = describe_range(name, extrema, edges[0], edges[-1])
                raise BadInput(f"sample '{sample}': {problem}, or change 'flatten.{name}.range' of the dataset")
        if jets >= SEVERAL * events and events < SEVERAL:
            numbers = ", ".join(map(str, self.events))
            raise BadInput(
                f"sample '{sample}': {jets:,} jets have {events} event number(s) only: {numbers}; expected a number "
                "per event; to fix: rename the column 'event' of the files, then each jet is an event"
            )


def compute_statistics(
    tables: Sequence[Path],
    output: Path,
    sample: str,
    split: Mapping[str, float],
    layers: Sequence[str],
    scales: Mapping[str, float],
    scale_quantile: float,
    flatten_config: Mapping,
    target: str = "mass",
) -> None:
    """Compute the statistics of a dataset, and write them as JSON.

    Reads all tables one time by row group, and the jet columns two more times. The scales and the mass distribution are
    those of the training split; the jets after flattening are counted in all three splits. Each layer gets the smallest
    cell size that it has in any table.

    Args:
        tables: All jet tables of the sample.
        output: JSON file to write.
        sample: Name of the sample.
        split: Fraction of each split.
        layers: Names of the layers of the dataset.
        scales: Fixed scales of layers by name; the other layers use `scale_quantile`.
        scale_quantile: Quantile of the magnitudes of non-zero values that defines the scale of a layer.
        flatten_config: `method` ("reject" or "weights"), and the arguments of `bin_edges`.
        target: Column of the tables that is the target.

    Raises:
        BadInput: If the tables are not usable: units, ranges, event numbers, duplicates, empty layers, bins or splits.
    """
    counts = Counts(layers, *bin_edges(flatten_config))
    for path in track(tables, "counting jets", "table"):
        table = JetTable(path, target)
        counts.add_table(table, sample, split)
        check_units(table, counts.mass_edges, counts.pt_edges)
    counts.check(sample)
    check_duplicates(tables, counts.contents)
    statistics = Statistics(
        sample=sample,
        split=dict(split),
        layers=list(layers),
        cells=np.min(counts.cells, axis=0).tolist(),
        flattening=flatten(counts.mass_edges, counts.pt_edges, counts.inside[SPLITS.index("train")]),
        scales=[
            scales.get(name) or layer_scale(name, histogram, scale_quantile)
            for name, histogram in zip(layers, counts.magnitudes, strict=True)
        ],
        method=flatten_config["method"],
        jets=dict(zip(SPLITS, counts.jets.tolist(), strict=True)),
        outside=int(counts.jets.sum() - counts.inside.sum()),
        kept={},
        target=target,
    )
    statistics.kept = keep_fractions(tables, statistics)
    statistics.save(output)
    log_statistics(statistics)


def log_statistics(statistics: Statistics) -> None:
    """Log the scales, and one line per split."""
    scales = zip(statistics.layers, statistics.scales, strict=True)
    log_info(f"scales: {', '.join(f'{name} {scale:.4g}' for name, scale in scales)}")
    if statistics.outside:
        log_info(f"{statistics.outside:,} jets outside the range of mass (or pT) are dropped")
    for name, kept in statistics.kept.items():
        flat = f"χ²/ndf against flat {kept['chi2'] / max(1, kept['degrees_of_freedom']):.2f}"
        log_info(f"{name}: {kept['jets']:,} of {statistics.jets[name]:,} jets kept ({kept['share']:.1%}), {flat}")


def check_units(table: JetTable, mass_edges: np.ndarray, pt_edges: np.ndarray) -> None:
    """Raise BadInput if a column of the table has another unit than the flattening edges, GeV.

    Jets outside the range that no unit explains are dropped and counted.
    """
    ranges = PLAUSIBLE | {"mass": (mass_edges[0], mass_edges[-1])}
    if tuple(pt_edges) != SINGLE_PT_BIN:
        ranges["pt"] = pt_edges[0], pt_edges[-1]
    for rows in table.columns(list(ranges)):
        for name, values in rows.items():
            if (unit := find_unit(values, *ranges[name])) not in ("GeV", ""):
                problem = describe_range(name, values, *ranges[name], unit)
                raise BadInput(f"{table.source.get('file', table.path)}: {problem}")


def layer_scale(layer: str, histogram: np.ndarray, quantile: float) -> float:
    """Return a quantile of the magnitudes of a layer; raise BadInput if the layer has no non-zero value."""
    if not histogram.any():
        raise BadInput(f"layer '{layer}' is zero in all training jets: give its scale, or leave it out")
    return histogram_quantile(histogram, quantile)


def keep_fractions(tables: Sequence[Path], statistics: Statistics) -> dict[str, dict[str, float]]:
    """Return the number and fraction of kept jets and their χ² against a flat distribution, per split.

    Raises:
        BadInput: If flattening leaves no jet in a split.
    """
    jets = np.zeros(len(SPLITS), np.int64)
    sums = np.zeros((len(SPLITS), *statistics.flattening.keep_probability.shape))
    edges = statistics.flattening.mass_edges, statistics.flattening.pt_edges
    for path in tables:
        for rows in JetTable(path, statistics.target).columns(("mass", "pt", "event")):
            part = assign_split(statistics.sample, rows["event"], statistics.split)
            for i, name in enumerate(SPLITS):
                mass, pt, event = (rows[column][part == i] for column in ("mass", "pt", "event"))
                weight = statistics.weights(name, mass, pt, event)
                jets[i] += np.count_nonzero(weight)
                sums[i] += histogram_counts(*edges, mass, pt, weight)
    result = {}
    for i, (name, total) in enumerate(statistics.jets.items()):
        if not jets[i]:
            raise BadInput(
                f"no jet is left in the split '{name}' ({total} before flattening): take more jets or a larger fraction"
            )
        chi2, degrees = chi_squared(sums[i])
        share = float(jets[i] / total)
        result[name] = {"jets": int(jets[i]), "share": share, "chi2": chi2, "degrees_of_freedom": degrees}
    return result
