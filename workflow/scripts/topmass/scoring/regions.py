"""Which jets are scored together: all of them, those of each bin of mass, of pT, and of both, by quarks, by |η|."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np

from topmass.files import BadInput
from topmass.layers import PIXEL_ETA
from topmass.scoring.predictions import Predictions

SPANS = ("mass", "pt", "quarks")
"""What a region may have a lower and an upper end of."""
INTERVAL_SPANS = (*SPANS, "predicted", "eta", "half_width")
"""The same, where intervals are scored."""
CONTAINMENT = {"contained": (3, 3), "not contained": (0, 2)}
"""The least and the most of the three quarks of the top in the window."""
ETA_BINS = 5
"""Of equally many jets each."""


@dataclass(frozen=True)
class Region:
    """Jets, by their indices, and the bins, (low, high) in GeV, that they lie in; None where it is any.

    `by` is what a plot would have on its axes: "all", "mass", "pt" or "mass and pt"; "uncut" are all jets, also those
    that the cut on the mass leaves out. By "quarks", those of the top in the window, and by CONTAINMENT alone and
    "… and mass", `quarks` are the least and the most of them. By "predicted" mass, "predicted and pt", "eta" and
    "half_width" of the interval in GeV, the spans of the same names.
    """

    by: str
    jets: np.ndarray
    mass: tuple[float, float] | None = None
    pt: tuple[float, float] | None = None
    quarks: tuple[int, int] | None = None
    predicted: tuple[float, float] | None = None
    eta: tuple[float, float] | None = None
    half_width: tuple[float, float] | None = None


def bin_of(name: str, values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """The bin that each value (N,) GeV lies in; the last edge belongs to the last bin. BadInput if one is in none.

    Of pT what lies above is in the last bin too: its tail is as long as there are jets.
    """
    outside = np.count_nonzero((values < edges[0]) | ((values > edges[-1]) & (name != "pt")))
    if outside:
        span = f"{outside:,} of {len(values):,} jets lie outside {edges[0]:g} to {edges[-1]:g} GeV"
        raise BadInput(f"evaluate.{name}_bins: {span}; they have {values.min():.0f} to {values.max():.0f} GeV")
    return np.minimum(np.searchsorted(edges, values, side="right") - 1, len(edges) - 2)


def divide(jets: Predictions, above: float, bins: dict[str, Sequence[float]]) -> list[Region]:
    """The regions of these jets; those of a mass up to `above` GeV are in "uncut" alone.

    `bins` has the edges in "mass" and "pt". BadInput if a jet is in no bin, or a bin of one of them has not two events.
    There are none by quarks where it is not known how many lie in the window.
    """
    regions = list(by_bins(jets, above, bins))
    parts = [by_quarks(region, jets.quarks_in_window) for region in regions if region.by in ("all", "mass")]
    return [*regions, *chain(*parts)]


def by_bins(jets: Predictions, above: float, bins: dict[str, Sequence[float]]) -> Iterator[Region]:
    """The regions that mass and pT alone make, as `divide` has them."""
    used = np.flatnonzero(jets.mass > above)
    if len(np.unique(jets.event[used])) < 2:
        raise BadInput(f"fewer than two events have a jet with a mass above {above:g} GeV")
    yield Region("all", used)
    if len(used) < len(jets.mass):
        yield Region("uncut", np.arange(len(jets.mass)))
    place = {name: bin_of(name, getattr(jets, name)[used], edges) for name, edges in bins.items()}
    spans = {name: list(pairwise(edges)) for name, edges in bins.items()}
    for name, found in place.items():
        for i, span in enumerate(spans[name]):
            here = used[found == i]
            if len(np.unique(jets.event[here])) < 2:
                raise BadInput(
                    f"evaluate.{name}_bins: fewer than two events in {span[0]:g} to {span[1]:g} GeV; make it wider"
                )
            yield Region(name, here, **{name: span})
    for i, mass_span in enumerate(spans["mass"]):
        for k, pt_span in enumerate(spans["pt"]):
            yield Region("mass and pt", used[(place["mass"] == i) & (place["pt"] == k)], mass_span, pt_span)


def by_quarks(region: Region, quarks: np.ndarray) -> Iterator[Region]:
    """Parts of all jets, or of a bin of mass, by the `quarks` of each jet (N,), NaN if unknown; none without a jet."""
    of_any_mass = region.by == "all"
    parts = [*CONTAINMENT.items(), *(("quarks", (number, number)) for number in range(4) if of_any_mass)]
    for name, (low, high) in parts:
        here = region.jets[(quarks[region.jets] >= low) & (quarks[region.jets] <= high)]
        if len(here):
            yield replace(region, by=name if of_any_mass else f"{name} and mass", jets=here, quarks=(low, high))


def by_eta(jets: Predictions, used: np.ndarray) -> Iterator[Region]:
    """Parts of the jets with these indices by |η|; none if it is not known of all jets."""
    eta = np.abs(jets.ieta + 0.5) * PIXEL_ETA
    if np.isfinite(eta).all():
        for span, here in equal_parts(eta, used, ETA_BINS):
            yield Region("eta", here, eta=span)


def equal_parts(values: np.ndarray, used: np.ndarray, parts: int) -> Iterator[tuple[tuple[float, float], np.ndarray]]:
    """The jets with these indices by their values (N,) ≥ 0, as many in each part: its ends, and their indices.

    The first begins at 0; the upper end belongs to a part, the lower one in the first alone. There are fewer where many
    values are equal.
    """
    edges = np.unique([0, *np.quantile(values[used], np.linspace(0, 1, parts + 1)[1:])])
    place = np.maximum(np.searchsorted(edges, values[used]), 1)
    for i, (low, high) in enumerate(pairwise(edges), 1):
        yield (float(low), float(high)), used[place == i]
