"""Figures of the mean jet image of each layer, and of six single jets."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from topmass.console import log_info
from topmass.files import BadInput
from topmass.jets import JetBatch, JetTable, concat_jets
from topmass.layers import Layer
from topmass.plotting.event_displays import energies, event_displays
from topmass.plotting.mean_images import image_panels, mean_images
from topmass.plotting.style import FigureData

MAX_JETS = 2000
SINGLE_JETS = 6


def draw_images(tables: Sequence[Path]) -> dict[str, FigureData]:
    """Draw the mean image of the first jets of the tables in each layer, and six jets in order of mass."""
    jets, layers = first_jets(tables)
    log_info(f"{len(jets):,} jets, {len(layers)} layers")
    chosen = spread_in_mass(jets.mass)
    images = [energies(jets.take(np.array([i])), layers) for i in chosen]
    titles = [f"$m$ = {jets.mass[i]:.0f} GeV, $p_T$ = {jets.pt[i]:.0f} GeV" for i in chosen]
    return {
        "average_images": image_panels(mean_images(jets, layers), layers, len(jets)),
        "single_jets": event_displays(images, titles, {"mass": jets.mass[chosen], "pt": jets.pt[chosen]}, columns=3),
    }


def first_jets(tables: Sequence[Path]) -> tuple[JetBatch, tuple[Layer, ...]]:
    """Load at most `MAX_JETS` jets of the tables, and their layers; BadInput if there is no jet."""
    first = next((table for table in map(JetTable, tables) if len(table)), None)
    if first is None:
        raise BadInput(f"{tables[0]}: no jet, nor in any other table of the sample")
    batches: list[JetBatch] = []
    # Tables with other layers or cell sizes are skipped.
    same_layers = (table for table in map(JetTable, tables) if table.layers == first.layers)
    for batch in chain.from_iterable(table.batches() for table in same_layers):
        batches.append(batch)
        if sum(map(len, batches)) >= MAX_JETS:
            break
    jets = concat_jets(batches)
    return jets.take(np.arange(min(len(jets), MAX_JETS))), first.layers


def spread_in_mass(mass: np.ndarray) -> np.ndarray:
    """Return indices of at most `SINGLE_JETS` jets at evenly spaced quantiles of the mass `(N,)`, in order of mass."""
    number = min(SINGLE_JETS, len(mass))
    return np.argsort(mass, kind="stable")[((np.arange(number) + 0.5) * len(mass) / number).astype(int)]
