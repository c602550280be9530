"""Registry of the jet features: name, unit, meaning, and required inputs.

Distances are relative to the centre of the window: Δη, Δφ and ΔR = √(Δη² + Δφ²). A calorimeter cell is massless and
points to its centre; its η is computed from the η of the window. A track is massless and is the leading track of its
pixel.
"""

from collections.abc import Iterator
from itertools import chain, combinations
from typing import NamedTuple

from topmass.layers import ETA, LAYERS, PHI
from topmass.preprocessing.shards import ShardMeta

CONES = (0.2, 0.4, 0.6, 0.8, 1.0, 1.6)
"""Cone radii ΔR for sums over cells."""
TRACK_CONES = (0.4, 0.8, 1.6)
"""Cone radii ΔR for sums over tracks."""
CALORIMETERS = ("ecal", "hcal")
PIXEL_BARREL = ("bpix1", "bpix2", "bpix3")
SUBJET_RADII = {0.3: 5, 0.15: 6}
"""Number of subjets for each subjet radius ΔR."""
TOWER_CONES = (0.4, 0.8, 1.3)
"""Cone radii ΔR for sums over towers."""


class Feature(NamedTuple):
    """A jet feature and the inputs that it requires.

    Attributes:
        name: Name of the feature.
        unit: Unit.
        meaning: Description.
        layers: It requires at least one of these layers, and uses all that are available; empty: no requirement.
        position: True if it requires the position of the jet in the detector.
        other_layers: It also requires at least one of these; empty: no requirement.
        odd: Reflections, `ETA`, `PHI` or both, that change its sign.
    """

    name: str
    unit: str
    meaning: str
    layers: tuple[str, ...] = ()
    position: bool = False
    other_layers: tuple[str, ...] = ()
    odd: int = 0


def cell_feature(name: str, unit: str, meaning: str, position: bool = False) -> Feature:
    """Return a feature that is a sum over the cells of all calorimeters."""
    return Feature(name, unit, meaning, CALORIMETERS, position)


def track_feature(name: str, unit: str, meaning: str) -> Feature:
    """Return a feature that is a sum over tracks.

    It requires no position: masses and transverse momenta are invariant under boosts along the beam.
    """
    return Feature(name, unit, meaning, ("track_pt",))


MOMENT_FEATURES = (
    *(cell_feature(f"cells_mass_{r}", "GeV", f"mass of all cells within ΔR < {r}", position=True) for r in CONES),
    *(
        cell_feature(f"cells_pt_{r}", "GeV", f"pT of the sum of all cells within ΔR < {r}", position=True)
        for r in CONES
    ),
    *(track_feature(f"tracks_mass_{r}", "GeV", f"mass of all tracks within ΔR < {r}") for r in TRACK_CONES),
    *(track_feature(f"tracks_pt_{r}", "GeV", f"pT of the sum of all tracks within ΔR < {r}") for r in TRACK_CONES),
    *(track_feature(f"tracks_{r}", "tracks", f"tracks within ΔR < {r}") for r in TRACK_CONES),
    *(Feature(f"{layer.name}_hits", "1", f"cells of {layer.name} with a value", (layer.name,)) for layer in LAYERS),
    Feature("ecal_energy", "GeV", "energy of all crystals", ("ecal",)),
    Feature("hcal_energy", "GeV", "energy of all towers", ("hcal",)),
    cell_feature("mean_eta", "1", "mean Δη of the cells, by energy")._replace(odd=ETA),
    cell_feature("mean_phi", "rad", "mean Δφ of the cells, by energy")._replace(odd=PHI),
    cell_feature("mean_eta_eta", "1", "mean Δη² of the cells, by energy"),
    cell_feature("mean_phi_phi", "rad²", "mean Δφ² of the cells, by energy"),
    cell_feature("mean_eta_phi", "rad", "mean Δη Δφ of the cells, by energy")._replace(odd=ETA | PHI),
    cell_feature("mean_r", "1", "mean ΔR of the cells, by energy"),
    cell_feature("mean_r_r_r", "1", "mean ΔR³ of the cells, by energy"),
    cell_feature("concentration", "1", "Σe² / (Σe)² over the cells: one over their number if all have the same energy"),
)
"""Image moments: sums over the image."""


SUBJET_MOMENTA = ("track_pt", *CALORIMETERS)
MOMENTUM_DEFINITIONS = (
    Feature("flow", "GeV", "by particle flow", SUBJET_MOMENTA, position=True),
    cell_feature("cells", "GeV", "by its cells alone", position=True),
    track_feature("tracks", "GeV", "by its tracks alone"),
)
"""Definitions of the four-momentum of a tower."""
TOWER_OBSERVABLES = (
    Feature("pixel_hits", "hits", "pixel hits in the towers", PIXEL_BARREL, other_layers=SUBJET_MOMENTA),
    Feature("track_number", "tracks", "tracks in the towers", ("track_pt",)),
    Feature("tower_number", "towers", "towers with a momentum", SUBJET_MOMENTA),
    Feature("ecal_energy", "GeV", "energy of the crystals", ("ecal",)),
    Feature("displaced_pt", "GeV", "ΣpT |d0| / 0.05 cm of tracks with |d0| > 0.02 cm, 3 pT at most", ("track_d0",),
             other_layers=("track_pt",)),
)  # fmt: skip
"""Further quantities that are summed per tower."""


def subjet_combinations(count: int) -> dict[str, tuple[int, ...]]:
    """Return the subjet combinations with a mass feature: each, all pairs, triples of the first four, the first k ≥ 4.

    Args:
        count: Number of subjets; at least four.

    Returns:
        Indices of the subjets by label; the label counts from one, like "1_2".
    """
    groups = [*combinations(range(count), 1), *combinations(range(count), 2), *combinations(range(4), 3)]
    groups += [tuple(range(k)) for k in range(4, count + 1)]
    return {"_".join(str(number + 1) for number in members): members for members in groups}


def subjet_features(radius: float, count: int) -> Iterator[Feature]:
    """Yield the features of the `count` leading subjets of a radius."""
    name, of = f"subjets_{radius}", f"subjets of ΔR < {radius}"
    for p4 in MOMENTUM_DEFINITIONS:
        for k in range(1, count + 1):
            yield p4._replace(name=f"{name}_{p4.name}_pt_{k}", meaning=f"pT of number {k} of {of}, {p4.meaning}")
        for group in subjet_combinations(count):
            numbers = group.replace("_", " + ")
            yield p4._replace(name=f"{name}_{p4.name}_mass_{group}", meaning=f"mass of {numbers} of {of}, {p4.meaning}")
        yield p4._replace(name=f"{name}_{p4.name}_pt_left", meaning=f"pT of what is in no {of}, {p4.meaning}")
    flow = MOMENTUM_DEFINITIONS[0]
    for k in range(1, count + 1):
        for angle, unit, symbol, odd in (("rapidity", "1", "Δy", ETA), ("phi", "rad", "Δφ", PHI)):
            meaning = f"{symbol} of number {k} of {of}, {flow.meaning}"
            yield flow._replace(name=f"{name}_flow_{angle}_{k}", unit=unit, meaning=meaning, odd=odd)
        for observable in TOWER_OBSERVABLES:
            meaning = f"{observable.meaning} of number {k} of {of}"
            yield observable._replace(name=f"{name}_{observable.name}_{k}", meaning=meaning)


def tower_cone_features(radius: float) -> Iterator[Feature]:
    """Yield the features of all towers within a radius."""
    for p4 in MOMENTUM_DEFINITIONS:
        for name, meaning in (("mass", "mass"), ("pt", "pT of the sum")):
            meaning = f"{meaning} of all towers within ΔR < {radius}, {p4.meaning}"
            yield p4._replace(name=f"towers_{p4.name}_{name}_{radius}", meaning=meaning)


SUBJET_FEATURES = (
    *chain.from_iterable(subjet_features(radius, count) for radius, count in SUBJET_RADII.items()),
    *chain.from_iterable(tower_cone_features(radius) for radius in TOWER_CONES),
)
"""Subjet features. Subjets are cones around the leading towers, in order; each excludes the towers of earlier cones."""
JET_FEATURES = (
    Feature("pt", "GeV", "pT of the jet"),
    Feature("eta", "1", "η of the window centre", position=True),
    Feature("abs_eta", "1", "its magnitude", position=True),
    Feature("jet_mass", "GeV", "mass of the jet"),
    Feature("softdrop_mass", "GeV", "mass of the jet after soft drop"),
)
"""Features that require no image; NaN where the source does not provide them."""


def available_features(features: tuple[Feature, ...], meta: ShardMeta) -> tuple[Feature, ...]:
    """Return the features that can be computed from shards with this metadata."""
    layers = set(meta.layers)
    return tuple(
        feature
        for feature in features
        if all(not needed or layers & {*needed} for needed in (feature.layers, feature.other_layers))
        and (meta.position or not feature.position)
    )
