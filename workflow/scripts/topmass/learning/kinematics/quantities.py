"""The numbers of a jet by name, each with its unit and what it means, and what a dataset has to have for it.

Distances are from the middle of the window: Δη, Δφ and ΔR = √(Δη² + Δφ²). A cell of a calorimeter is massless and in
the direction of its middle; its η comes from that of the window. A track is the hardest of its pixel, and massless.
"""

from collections.abc import Iterator
from itertools import chain, combinations
from typing import NamedTuple

from topmass.layers import LAYERS
from topmass.preprocessing.shards import ShardMeta

CONES = (0.2, 0.4, 0.6, 0.8, 1.0, 1.6)
"""Radii within which cells are added up."""
TRACK_CONES = (0.4, 0.8, 1.6)
"""The same for tracks."""
CALORIMETERS = ("ecal", "hcal")
PIXEL_BARREL = ("bpix1", "bpix2", "bpix3")
SUBJET_RADII = {0.3: 5, 0.15: 6}
"""Radii of subjets, and how many there are of each."""
TOWER_CONES = (0.4, 0.8, 1.3)
"""Radii within which towers are added up."""


class Quantity(NamedTuple):
    """A number of a jet.

    It takes any one of `layers`, the calorimeters as far as there are any; any one of `beside`; and, with `position`,
    that of the jet.
    """

    name: str
    unit: str
    meaning: str
    layers: tuple[str, ...] = ()
    position: bool = False
    beside: tuple[str, ...] = ()


def of_cells(name: str, unit: str, meaning: str, position: bool = False) -> Quantity:
    """A sum over the cells of all calorimeters."""
    return Quantity(name, unit, meaning, CALORIMETERS, position)


def of_tracks(name: str, unit: str, meaning: str) -> Quantity:
    """A sum over tracks. Masses and transverse momenta do not change with the frame along the beam."""
    return Quantity(name, unit, meaning, ("track_pt",))


SUMS = (
    *(of_cells(f"cells_mass_{r}", "GeV", f"mass of all cells within ΔR < {r}", position=True) for r in CONES),
    *(of_cells(f"cells_pt_{r}", "GeV", f"pT of the sum of all cells within ΔR < {r}", position=True) for r in CONES),
    *(of_tracks(f"tracks_mass_{r}", "GeV", f"mass of all tracks within ΔR < {r}") for r in TRACK_CONES),
    *(of_tracks(f"tracks_pt_{r}", "GeV", f"pT of the sum of all tracks within ΔR < {r}") for r in TRACK_CONES),
    *(of_tracks(f"tracks_{r}", "tracks", f"tracks within ΔR < {r}") for r in TRACK_CONES),
    *(Quantity(f"{layer.name}_hits", "1", f"cells of {layer.name} with a value", (layer.name,)) for layer in LAYERS),
    Quantity("ecal_energy", "GeV", "energy of all crystals", ("ecal",)),
    Quantity("hcal_energy", "GeV", "energy of all towers", ("hcal",)),
    of_cells("mean_eta", "1", "mean Δη of the cells, by energy"),
    of_cells("mean_phi", "rad", "mean Δφ of the cells, by energy"),
    of_cells("mean_eta_eta", "1", "mean Δη² of the cells, by energy"),
    of_cells("mean_phi_phi", "rad²", "mean Δφ² of the cells, by energy"),
    of_cells("mean_eta_phi", "rad", "mean Δη Δφ of the cells, by energy"),
    of_cells("mean_r", "1", "mean ΔR of the cells, by energy"),
    of_cells("mean_r_r_r", "1", "mean ΔR³ of the cells, by energy"),
    of_cells("concentration", "1", "Σe² / (Σe)² over the cells: one over their number if all have the same energy"),
)
"""Sums over the image."""


MOMENTA = ("track_pt", *CALORIMETERS)
FLAVOURS = (
    Quantity("flow", "GeV", "by particle flow", MOMENTA, position=True),
    of_cells("cells", "GeV", "by its cells alone", position=True),
    of_tracks("tracks", "GeV", "by its tracks alone"),
)
"""Of the four-momentum of a tower."""
CONTENTS = (
    Quantity("pixel_hits", "hits", "pixel hits in the towers", PIXEL_BARREL, beside=MOMENTA),
    Quantity("track_number", "tracks", "tracks in the towers", ("track_pt",)),
    Quantity("tower_number", "towers", "towers with a momentum", MOMENTA),
    Quantity("ecal_energy", "GeV", "energy of the crystals", ("ecal",)),
    Quantity("displaced_pt", "GeV", "ΣpT |d0| / 0.05 cm of tracks with |d0| > 0.02 cm, 3 pT at most", ("track_d0",),
             beside=("track_pt",)),
)  # fmt: skip
"""What else is added up in towers."""


def groups(count: int) -> dict[str, tuple[int, ...]]:
    """Which subjets, of so many, have a mass together: each, all pairs, triples of the first four, the first k."""
    chosen = [*combinations(range(count), 1), *combinations(range(count), 2), *combinations(range(4), 3)]
    chosen += [tuple(range(k)) for k in range(4, count + 1)]
    return {"_".join(str(number + 1) for number in members): members for members in chosen}


def of_subjets(radius: float, count: int) -> Iterator[Quantity]:
    """The numbers of so many subjets of this radius."""
    name, of = f"subjets_{radius}", f"subjets of ΔR < {radius}"
    for each in FLAVOURS:
        for k in range(1, count + 1):
            yield each._replace(name=f"{name}_{each.name}_pt_{k}", meaning=f"pT of number {k} of {of}, {each.meaning}")
        for group in groups(count):
            numbers = group.replace("_", " + ")
            yield each._replace(
                name=f"{name}_{each.name}_mass_{group}", meaning=f"mass of {numbers} of {of}, {each.meaning}"
            )
        yield each._replace(name=f"{name}_{each.name}_pt_left", meaning=f"pT of what is in no {of}, {each.meaning}")
    for k in range(1, count + 1):
        for angle, unit, symbol in (("rapidity", "1", "Δy"), ("phi", "rad", "Δφ")):
            meaning = f"{symbol} of number {k} of {of}, {FLAVOURS[0].meaning}"
            yield FLAVOURS[0]._replace(name=f"{name}_flow_{angle}_{k}", unit=unit, meaning=meaning)
        for each in CONTENTS:
            yield each._replace(name=f"{name}_{each.name}_{k}", meaning=f"{each.meaning} of number {k} of {of}")


def of_towers(radius: float) -> Iterator[Quantity]:
    """The numbers of all towers within this radius."""
    for each in FLAVOURS:
        for name, meaning in (("mass", "mass"), ("pt", "pT of the sum")):
            meaning = f"{meaning} of all towers within ΔR < {radius}, {each.meaning}"
            yield each._replace(name=f"towers_{each.name}_{name}_{radius}", meaning=meaning)


SUBJETS = (
    *chain.from_iterable(of_subjets(radius, count) for radius, count in SUBJET_RADII.items()),
    *chain.from_iterable(of_towers(radius) for radius in TOWER_CONES),
)
"""Of subjets: cones around the hardest towers, the hardest first, each without what is in those before."""
JET = (
    Quantity("pt", "GeV", "pT of the jet"),
    Quantity("eta", "1", "η of the window's middle", position=True),
    Quantity("abs_eta", "1", "its magnitude", position=True),
    Quantity("jet_mass", "GeV", "mass of the jet"),
    Quantity("softdrop_mass", "GeV", "mass of the jet after soft drop"),
)
"""Known of a jet without its image; NaN where its source does not know it."""


def given(quantities: tuple[Quantity, ...], meta: ShardMeta) -> tuple[Quantity, ...]:
    """Those of the quantities that jets of such shards have."""
    layers = set(meta.layers)
    return tuple(
        each
        for each in quantities
        if all(not needed or layers & set(needed) for needed in (each.layers, each.beside))
        and (meta.position or not each.position)
    )
