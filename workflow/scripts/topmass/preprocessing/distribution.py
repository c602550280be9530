"""Compact distributions of layer values and jet columns, for file metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from topmass.jets import POSITION_COLUMNS
from topmass.layers import PIXEL_ETA
from topmass.preprocessing.scaling import denormalize
from topmass.preprocessing.shards import Shard, ShardMeta

BITS_DROPPED = 18
"""Low-order bits that floats in one histogram bin may differ in; bins are at most 3 % wide."""
BINS = 1 << (32 - BITS_DROPPED - 1)
CALORIMETERS = ("ecal", "hcal")


@dataclass
class Distribution:
    """Distribution of the values of one layer or of one jet column.

    Attributes:
        jets: Jets that have a value.
        values: Number of non-zero values.
        negative: Number of negative values.
        low: Smallest value.
        high: Largest value.
        far: Jets with a value that is many times the scale of its layer.
        counts: Histogram (BINS,) of the magnitudes of the non-zero values.
    """

    jets: int = 0
    values: int = 0
    negative: int = 0
    low: float = 0.0
    high: float = 0.0
    far: int = 0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))

    @classmethod
    def of(cls, values: np.ndarray, jets: int, copies: int = 1, far: int = 0) -> "Distribution":
        """Return the distribution of finite values (V,).

        Args:
            values: Values (V,).
            jets: Number of jets with a value.
            copies: Multiplicity of each value.
            far: Number of jets with a value that is many times the scale of its layer.
        """
        if not len(values):
            return cls()
        values = values.astype(np.float32)
        nonzero = values[values != 0]
        counts = np.bincount(np.abs(nonzero).view(np.uint32) >> BITS_DROPPED, minlength=BINS) * copies
        negative = int(np.count_nonzero(nonzero < 0)) * copies
        return cls(jets, len(nonzero) * copies, negative, float(values.min()), float(values.max()), far, counts)

    def add(self, other: "Distribution") -> None:
        """Add the distribution of other jets."""
        if other.jets:
            self.low = min(self.low, other.low) if self.jets else other.low
            self.high = max(self.high, other.high) if self.jets else other.high
        for name in ("jets", "values", "negative", "far", "counts"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def quantile(self, share: float) -> float:
        """Return a quantile of the magnitudes of the non-zero values, accurate to 2 %; 0 without values."""
        if not self.values:
            return 0.0
        quantile_bin = int(np.searchsorted(np.cumsum(self.counts), share * self.values))
        edges = np.array([quantile_bin, quantile_bin + 1], np.uint32) << BITS_DROPPED
        return float(edges.view(np.float32).mean())

    def outside(self, low: float, high: float) -> float:
        """Return the fraction of non-zero values with a magnitude outside this range, rounded to whole bins."""
        edges = np.array([low, high], np.float32).view(np.uint32) >> BITS_DROPPED
        inside = self.counts[edges[0] : edges[1] + 1].sum()
        return float(1 - inside / self.values) if self.values else 0.0

    def dump(self) -> dict:
        """Return the content for JSON; the histogram is cut to the bins from the first to the last filled one."""
        bins = np.flatnonzero(self.counts)
        first, last = (int(bins[0]), int(bins[-1])) if len(bins) else (0, -1)
        return vars(self) | {"counts": self.counts[first : last + 1].tolist(), "first": first}

    @classmethod
    def parse(cls, content: Mapping) -> "Distribution":
        """Return the distribution from the output of `dump`; raise KeyError, TypeError or ValueError if invalid."""
        try:
            integers = {name: int(content[name]) for name in ("jets", "values", "negative", "far", "first")}
            extrema = {name: float(content[name]) for name in ("low", "high")}
            bins = np.array(content["counts"], np.int64)
        except OverflowError as error:
            raise ValueError(str(error)) from None
        counts, first = np.zeros(BINS, np.int64), integers.pop("first")
        counts[first : first + len(bins)] = bins
        if min(first, counts.min(), *integers.values()) < 0 or counts.sum() != integers["values"]:
            raise ValueError("a histogram that does not add up")
        if not np.isfinite([*extrema.values()]).all() or (integers["values"] and not integers["jets"]):
            raise ValueError("values of nothing, or without an end")
        return cls(**integers, **extrema, counts=counts)


@dataclass
class JetSummary:
    """Distributions of the layers and of the columns of a set of jets.

    Attributes:
        jets: Number of jets.
        layers: Distribution of each layer by name, in the unit of the layer.
        numbers: Distributions of the available columns `pt`, `mass` and `et` (GeV), `ieta` and `iphi`. `et` is the
            calorimeter energy / cosh(η) with η of the window centre, or 0 without a position.
    """

    jets: int = 0
    layers: dict[str, Distribution] = field(default_factory=dict)
    numbers: dict[str, Distribution] = field(default_factory=dict)

    def add(self, other: "JetSummary") -> None:
        """Add the summary of other jets."""
        self.jets += other.jets
        for own, added in ((self.layers, other.layers), (self.numbers, other.numbers)):
            for name, distribution in added.items():
                own.setdefault(name, Distribution()).add(distribution)

    def dump(self) -> dict:
        """Return the content for JSON."""
        parts = {"layers": self.layers, "numbers": self.numbers}
        return {"jets": self.jets} | {
            part: {name: distribution.dump() for name, distribution in distributions.items()}
            for part, distributions in parts.items()
        }

    @classmethod
    def parse(cls, content: Mapping) -> "JetSummary":
        """Return the summary from the output of `dump`; raise KeyError, TypeError or ValueError if invalid."""
        parts = (
            {name: Distribution.parse(item) for name, item in content[part].items()} for part in ("layers", "numbers")
        )
        jets = content["jets"]
        if not isinstance(jets, int) or jets < 0:
            raise ValueError(f"{jets} jets")
        return cls(jets, *parts)


def summarize_shard(shard: Shard) -> JetSummary:
    """Return the summary of the jets of a shard; its values are clipped at the scales of their layers."""
    meta, layer = shard.meta, shard.arrays["layer"]
    scale = np.array(meta.scales)[layer]
    value = denormalize(shard.arrays["value"].astype(np.float64), scale, meta.compression)
    numbers = {name: shard.arrays[name] for name in ("pt", "mass", *(POSITION_COLUMNS if meta.position else ()))}
    return summarize(meta, meta.cells, shard.offset, layer, value, numbers)


def summarize(
    meta: ShardMeta,
    cells: Sequence[int],
    offset: np.ndarray,
    layer: np.ndarray,
    value: np.ndarray,
    numbers: Mapping[str, np.ndarray],
    far: float = np.inf,
) -> JetSummary:
    """Return the summary of N sparse jets; a coarse cell counts as the shard cells that it covers.

    Args:
        meta: Metadata of the shards that the jets are compared with.
        cells: Cell side of each layer in these jets, pixels.
        offset: Offsets (N + 1,) of the values of each jet.
        layer: Layer index (V,) of each value in the shards; larger for layers that are not in the shards.
        value: Values (V,) in the units of the layers.
        numbers: Jet columns (N,) by name; NaN where unknown.
        far: Multiple of the scale of a layer from which on a value is counted in `far`.
    """
    jets = len(offset) - 1
    jet = np.repeat(np.arange(jets), np.diff(offset))
    summary, energy = JetSummary(jets), np.zeros(jets)

    def count_jets(jet: np.ndarray) -> int:
        return int(np.count_nonzero(np.bincount(jet, minlength=jets)))

    for i, name in enumerate(meta.layers):
        hits = np.flatnonzero(layer == i)
        values, jet_of_hit = value[hits], jet[hits]
        far_jets = count_jets(jet_of_hit[np.abs(values) >= far * meta.scales[i]])
        copies = int((cells[i] // meta.cells[i]) ** 2)
        summary.layers[name] = Distribution.of(values, count_jets(jet_of_hit), copies, far_jets)
        if name in CALORIMETERS:
            # The value of a tower that is stored as one cell is the energy per pixel.
            energy += np.bincount(jet_of_hit, weights=values, minlength=jets) * cells[i] ** 2
    if {*CALORIMETERS} & {*meta.layers}:
        # ET depends on energy and position: it reveals wrong units of either.
        eta = (numbers["ieta"] + 0.5) * PIXEL_ETA if "ieta" in numbers else 0.0
        numbers = {**numbers, "et": energy / np.cosh(eta)}
    for name, column in numbers.items():
        finite = column[np.isfinite(column)]
        if len(finite):
            summary.numbers[name] = Distribution.of(finite, len(finite))
    return summary
