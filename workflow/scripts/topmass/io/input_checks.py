"""Checks of a user's file: layers, units and validity of its jets."""

from collections.abc import Iterator, Sequence

import numpy as np

from topmass.files import BadInput
from topmass.io.jet_input import JetInput
from topmass.jets import JetBatch
from topmass.layers import LAYERS, Layer, find_layer
from topmass.units import PLAUSIBLE, describe_range, find_unit

MAX_JETS_PER_EVENT = 100
"""A number of jets that cannot all belong to one event."""

MAY_BE_NEGATIVE = ("ecal", "hcal")
MAX_POSITION = {"ieta": 300, "iphi": 360}
"""Crystals: CMS covers |η| < 5.2, and φ has 360 crystals, counted from 0, from 1 or from the centre."""


def layers_of(source: JetInput, names: Sequence[str]) -> tuple[Layer, ...]:
    """Return the layers of a file's images, in its order: those that it records, else those of the user's `names`.

    Raises:
        BadInput: Layers are missing, contradictory, unknown or repeated.
    """
    known, option = [layer.name for layer in LAYERS], source.settings["layers"]
    for i, name in enumerate(names):
        if name not in known:
            raise BadInput(f"{source.path}: {option} has no known layer '{name}'; there are {', '.join(known)}")
        if name in names[:i]:
            raise BadInput(f"{source.path}: {option} has the layer '{name}' twice")
    if layers := source.recorded_layers:
        if names and list(names) != [layer.name for layer in layers]:
            recorded = ", ".join(layer.name for layer in layers)
            contradiction = f"{option} says {', '.join(names)}: leave that out, or correct it"
            raise BadInput(f"{source.path}: its layers are {recorded}, and {contradiction}")
        return layers
    if not names:
        raise BadInput(f"{source.path}: it does not say what its layers are: list them, in its order, with {option}")
    return tuple(find_layer(name) for name in names)


def check_numbers(source: JetInput) -> None:
    """Raise BadInput for values in another unit than GeV, or if all jets have the same event number.

    A sample from the complete file decides: a few outliers, or one odd part, do not change the result.
    """
    sample = source.sample([*PLAUSIBLE, "event"])
    for name, expected in PLAUSIBLE.items():
        values = sample.get(name, np.zeros(0)).astype(float)
        if (unit := find_unit(values, *expected)) != "GeV":
            raise BadInput(f"{source.path}: {describe_range(source.columns[name], values, *expected, unit)}")
    events = sample.get("event", np.zeros(0))
    if len(events) >= MAX_JETS_PER_EVENT and (events == events[0]).all():
        column = source.columns["event"]
        problem = f"all jets have the event number {events[0]} in column '{column}'; expected a number per event"
        raise BadInput(f"{source.path}: {problem}; to fix: rename '{column}', then each jet is an event")


def physics_checks(batch: JetBatch, layers: Sequence[Layer]) -> Iterator[tuple[np.ndarray, str]]:
    """Yield unphysical jets as `topmass.jets.structural_errors` does; unknown values are valid.

    Calorimeters may have negative values because of noise.
    """
    unsigned = np.zeros(256, bool)
    unsigned[: len(layers)] = [not layer.signed and layer.name not in MAY_BE_NEGATIVE for layer in layers]
    negative = np.flatnonzero(batch.value < 0)
    negative = negative[unsigned[batch.layer[negative]]]
    if len(negative):
        rows = np.unique(np.searchsorted(batch.offset, negative, side="right") - 1)
        name, lowest = layers[batch.layer[negative[0]]].name, batch.value[negative[0]]
        yield rows, f"value in layer '{name}' is {lowest:.3g}; expected none below zero"
    for name, most in MAX_POSITION.items():
        position = getattr(batch, name).astype(float)
        rows = np.flatnonzero(np.abs(position) > most)
        if len(rows):
            yield rows, f"{name} is {position[rows[0]]:.0f}; expected crystals, from {-most} to {most}"
    for wrong, what in (
        (np.diff(batch.offset) == 0, "no pixel is set"),
        (np.isinf(batch.mass), "mass is not finite"),
        (batch.mass <= 0, "the mass is not positive"),
        (batch.pt <= 0, "pt is not positive"),
    ):
        if wrong.any():
            yield np.flatnonzero(wrong), what
