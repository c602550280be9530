"""Evaluation regions: all jets, and bins of mass, pT, quark containment and |η|."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from topmass.evaluation.predictions import Predictions
from topmass.files import BadInput
from topmass.layers import PIXEL_ETA

BIN_VARIABLES = ("mass", "pt", "quarks")
"""Variables in which a region may have a lower and an upper edge."""
INTERVAL_BIN_VARIABLES = (*BIN_VARIABLES, "predicted", "eta", "half_width")
"""Variables of the regions in which intervals are scored."""
CONTAINMENT = {"contained": (3, 3), "not contained": (0, 2)}
"""Fewest and most of the top's three quarks in the window, by category."""
ETA_BINS = 5
"""Number of |η| bins, with equal numbers of jets."""


@dataclass(frozen=True)
class Region:
    """Set of jets that are scored together, with its bin (low, high) in each variable, or None.

    Attributes:
        by: Binning: "all", "mass", "pt", "mass and pt", "quarks", a key of `CONTAINMENT` alone or with " and mass";
            "uncut" for all jets including those below the minimum mass; for intervals also "predicted",
            "predicted and pt", "eta" and "half_width".
        jets: Indices of the jets.
        mass: Bin of generated mass in GeV.
        pt: Bin of jet pT in GeV.
        quarks: Fewest and most of the top's three quarks in the window.
        predicted: Bin of predicted mass in GeV.
        eta: Bin of |η|.
        half_width: Bin of the interval's half width in GeV.
    """

    by: str
    jets: np.ndarray
    mass: tuple[float, float] | None = None
    pt: tuple[float, float] | None = None
    quarks: tuple[int, int] | None = None
    predicted: tuple[float, float] | None = None
    eta: tuple[float, float] | None = None
    half_width: tuple[float, float] | None = None

    def to_dict(self, variables: Sequence[str], scores: Mapping) -> dict:
        """Return the region with its scores as in `metrics.json`, with the edges in these variables."""
        edges = {name: getattr(self, name) for name in variables}
        return {"by": self.by, **edges, "jets": len(self.jets), "scores": scores}


def bin_index(name: str, values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Return the bin index (N,) of each value; the last bin includes its upper edge.

    The last pT bin also includes all values above it, because the length of the tail depends on the number of jets.

    Args:
        name: Variable: "mass" or "pt".
        values: Values (N,) in GeV.
        edges: Bin edges in GeV.

    Raises:
        BadInput: If a value is in no bin.
    """
    outside = np.count_nonzero((values < edges[0]) | ((values > edges[-1]) & (name != "pt")))
    if outside:
        span = f"{outside:,} of {len(values):,} jets lie outside {edges[0]:g} to {edges[-1]:g} GeV"
        raise BadInput(f"evaluate.{name}_bins: {span}; they have {values.min():.0f} to {values.max():.0f} GeV")
    return np.minimum(np.searchsorted(edges, values, side="right") - 1, len(edges) - 2)


def occupied_edges(edges: Sequence[float], values: np.ndarray) -> list[float]:
    """Return the bin edges without the bins below and above all values (N,)."""
    if not len(values):
        return [*edges]
    first = np.searchsorted(edges, values.min(), side="right") - 1
    last = np.searchsorted(edges, values.max()) - 1
    first, last = np.clip([first, last], 0, len(edges) - 2)
    return [*edges[first : last + 2]]


def make_regions(jets: Predictions, min_mass: float, bins: Mapping[str, Sequence[float]]) -> list[Region]:
    """Return all regions of these jets; there are no quark regions where the number of quarks is unknown.

    Args:
        jets: Test jets.
        min_mass: Minimum mass in GeV; jets up to this mass are only in "uncut".
        bins: Edges of "mass" and "pt" in GeV.

    Raises:
        BadInput: If a jet is in no bin, or a bin of mass or of pT has fewer than two events.
    """
    used = np.flatnonzero(jets.mass > min_mass)
    if len(np.unique(jets.event[used])) < 2:
        raise BadInput(f"fewer than two events have a jet with a mass above {min_mass:g} GeV")
    everything, uncut = Region("all", used), Region("uncut", np.arange(len(jets.mass)))
    index = {name: bin_index(name, getattr(jets, name)[used], edges) for name, edges in bins.items()}
    spans = {name: list(pairwise(edges)) for name, edges in bins.items()}
    by_variable = [
        Region(name, used[index[name] == i], **{name: span}) for name in bins for i, span in enumerate(spans[name])
    ]
    for region in by_variable:
        if len(np.unique(jets.event[region.jets])) < 2:
            low, high = getattr(region, region.by)
            raise BadInput(
                f"evaluate.{region.by}_bins: fewer than two events in {low:g} to {high:g} GeV; make it wider"
            )
    cells = [
        Region("mass and pt", used[(index["mass"] == i) & (index["pt"] == k)], mass_span, pt_span)
        for i, mass_span in enumerate(spans["mass"])
        for k, pt_span in enumerate(spans["pt"])
    ]
    regions = [everything, *([uncut] if len(used) < len(jets.mass) else []), *by_variable, *cells]
    to_divide = [everything, *(region for region in by_variable if region.by == "mass")]
    return regions + [part for region in to_divide for part in quark_regions(region, jets.quarks_in_window)]


def quark_regions(region: Region, quarks: np.ndarray) -> Iterator[Region]:
    """Yield the non-empty parts of a region by number of quarks.

    Args:
        region: Region of all jets or of a mass bin.
        quarks: Number of quarks in the window for each jet, (N,); NaN if unknown.
    """
    inclusive = region.by == "all"
    by_number = [("quarks", (number, number)) for number in range(4)] if inclusive else []
    for name, (low, high) in [*CONTAINMENT.items(), *by_number]:
        jets = region.jets[(quarks[region.jets] >= low) & (quarks[region.jets] <= high)]
        if len(jets):
            yield replace(region, by=name if inclusive else f"{name} and mass", jets=jets, quarks=(low, high))


def eta_regions(jets: Predictions, used: np.ndarray) -> Iterator[Region]:
    """Yield `ETA_BINS` regions in |η| of the jets with indices `used`; none unless η is known for all jets."""
    eta = np.abs(jets.ieta + 0.5) * PIXEL_ETA
    if np.isfinite(eta).all():
        for span, chosen in equal_parts(eta, used, ETA_BINS):
            yield Region("eta", chosen, eta=span)


def equal_parts(values: np.ndarray, used: np.ndarray, parts: int) -> Iterator[tuple[tuple[float, float], np.ndarray]]:
    """Yield the edges and the jet indices of bins with equal numbers of jets.

    The first bin begins at 0. Each bin includes its upper edge; only the first bin includes its lower edge. There are
    fewer bins if many values are equal.

    Args:
        values: Values (N,) ≥ 0.
        used: Indices of the jets to divide.
        parts: Number of bins.
    """
    edges = np.unique([0, *np.quantile(values[used], np.linspace(0, 1, parts + 1)[1:])])
    index = np.maximum(np.searchsorted(edges, values[used]), 1)
    for i, (low, high) in enumerate(pairwise(edges), 1):
        yield (float(low), float(high)), used[index == i]
