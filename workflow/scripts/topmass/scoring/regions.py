"""Which jets are scored together: all of them, and those of each bin of mass, of pT, and of both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from topmass.files import BadInput


@dataclass(frozen=True)
class Region:
    """Jets, by their indices, and the bins, (low, high) in GeV, that they lie in; None where it is any.

    `by` is what a plot would have on its axes: "all", "mass", "pt" or "mass and pt"; "uncut" are all jets, also those
    that the cut on the mass leaves out.
    """

    by: str
    jets: np.ndarray
    mass: tuple[float, float] | None = None
    pt: tuple[float, float] | None = None


def bin_of(name: str, values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """The bin that each value (N,) GeV lies in; the last edge belongs to the last bin. BadInput if one is in none."""
    outside = np.count_nonzero((values < edges[0]) | (values > edges[-1]))
    if outside:
        span = f"{outside:,} of {len(values):,} jets lie outside {edges[0]:g} to {edges[-1]:g} GeV"
        raise BadInput(f"evaluate.{name}_bins: {span}; they have {values.min():.0f} to {values.max():.0f} GeV")
    return np.minimum(np.searchsorted(edges, values, side="right") - 1, len(edges) - 2)


def divide(
    mass: np.ndarray, pt: np.ndarray, event: np.ndarray, above: float, bins: dict[str, Sequence[float]]
) -> Iterator[Region]:
    """The regions of jets with these masses and pT (N,) GeV; those of a mass up to `above` are in "uncut" alone.

    `bins` has the edges in "mass" and "pt". BadInput if a jet is in no bin, or a bin of one of them has not two events.
    """
    used = np.flatnonzero(mass > above)
    if len(np.unique(event[used])) < 2:
        raise BadInput(f"fewer than two events have a jet with a mass above {above:g} GeV")
    yield Region("all", used)
    if len(used) < len(mass):
        yield Region("uncut", np.arange(len(mass)))
    known = {"mass": mass, "pt": pt}
    place = {name: bin_of(name, known[name][used], edges) for name, edges in bins.items()}
    spans = {name: list(pairwise(edges)) for name, edges in bins.items()}
    for name, found in place.items():
        for i, span in enumerate(spans[name]):
            jets = used[found == i]
            if len(np.unique(event[jets])) < 2:
                raise BadInput(
                    f"evaluate.{name}_bins: fewer than two events in {span[0]:g} to {span[1]:g} GeV; make it wider"
                )
            yield Region(name, jets, **{name: span})
    for i, mass_span in enumerate(spans["mass"]):
        for k, pt_span in enumerate(spans["pt"]):
            yield Region("mass and pt", used[(place["mass"] == i) & (place["pt"] == k)], mass_span, pt_span)
