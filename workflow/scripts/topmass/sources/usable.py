"""What jets of somebody's file are: which layers their images have, and which of them can be used."""

from collections.abc import Iterator, Sequence

import numpy as np

from topmass.files import BadInput
from topmass.jets import JetBatch, JetTable
from topmass.layers import LAYERS, Layer, find_layer
from topmass.sources.parquet import Source


def layers_of(source: Source, names: Sequence[str]) -> tuple[Layer, ...]:
    """The layers of a file's images, in its order: those that a jet table of ours names, else those that are given.

    BadInput if neither says it, if they contradict each other, or if a name is that of no layer or comes twice.
    """
    check_names(source, names)
    if not source.dense and b"topmass" in (source.file.schema_arrow.metadata or {}):
        found = JetTable(source.path).layers
        there = [layer.name for layer in found]
        if names and list(names) != there:
            asked = f"'layers' says {', '.join(names)}: leave that out, or correct it"
            raise BadInput(f"{source.path}: its layers are {', '.join(there)}, and {asked}")
        return found
    if not names:
        raise BadInput(f"{source.path}: it does not say what its layers are: list them, in its order, under 'layers'")
    return tuple(find_layer(name) for name in names)


def check_names(source: Source, names: Sequence[str]) -> None:
    """Raise `BadInput` for a name of no layer, and for one that comes twice."""
    known = [layer.name for layer in LAYERS]
    for i, name in enumerate(names):
        if name not in known:
            raise BadInput(f"{source.path}: no layer '{name}' is known under 'layers'; there are {', '.join(known)}")
        if name in names[:i]:
            raise BadInput(f"{source.path}: the layer '{name}' comes twice under 'layers'")


def oddities(batch: JetBatch) -> Iterator[tuple[np.ndarray, str]]:
    """What no jet of a detector has, as `topmass.jets.flaws`; what is not known of a jet is not odd."""
    for wrong, what in (
        (np.diff(batch.offset) == 0, "no pixel is set"),
        (np.isinf(batch.mass), "mass is not finite"),
        (batch.mass <= 0, "the mass is not positive"),
        (batch.pt <= 0, "pt is not positive"),
    ):
        if wrong.any():
            yield np.flatnonzero(wrong), what
