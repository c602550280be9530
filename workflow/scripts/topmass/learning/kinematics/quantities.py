"""The numbers of a jet by name, each with its unit and what it means, and what a dataset has to have for it.

Distances are from the middle of the window: Δη, Δφ and ΔR = √(Δη² + Δφ²). A cell of a calorimeter is massless and in
the direction of its middle; its η comes from that of the window. A track is the hardest of its pixel, and massless.
"""

from typing import NamedTuple

from topmass.layers import LAYERS
from topmass.preprocessing.shards import ShardMeta

CONES = (0.2, 0.4, 0.6, 0.8, 1.0, 1.6)
"""Radii within which cells are added up."""
TRACK_CONES = (0.4, 0.8, 1.6)
"""The same for tracks."""
CALORIMETERS = ("ecal", "hcal")


class Quantity(NamedTuple):
    """A number of a jet.

    It takes any one of `layers`, the calorimeters as far as there are any; and, with `position`, that of the jet.
    """

    name: str
    unit: str
    meaning: str
    layers: tuple[str, ...] = ()
    position: bool = False


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
        if (not each.layers or layers & set(each.layers)) and (meta.position or not each.position)
    )
