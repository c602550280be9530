"""Event displays of the test jets with the largest errors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info
from topmass.evaluation.predictions import Predictions
from topmass.files import BadInput
from topmass.jets import JetTable
from topmass.plotting.event_displays import energies, event_displays
from topmass.plotting.style import FigureData

JETS = 8
TABLE_KEY = ("event", "pt")
"""Columns that identify a jet in predictions and tables. The target may be another column of the table than `mass`."""


def draw_largest_errors(predictions: Path, tables: Sequence[Path]) -> dict[str, FigureData]:
    """Draw the jets with the largest errors in descending order, with both masses; `tables` contain the images."""
    jets = Predictions.load(predictions)
    error = np.abs(jets.predicted - jets.mass)
    chosen = np.argsort(-error, kind="stable")[:JETS]
    log_info(f"the largest of {len(error):,} errors are {error[chosen[-1]]:.0f} to {error[chosen[0]]:.0f} GeV")
    keys = [tuple(getattr(jets, name)[i] for name in TABLE_KEY) for i in chosen]
    images = find_images(keys, tables, predictions)
    variables = {name: getattr(jets, name)[chosen] for name in ("mass", "predicted", "pt")}
    titles = [
        f"$m$ = {mass:.0f}, predicted {predicted:.0f} GeV\n$p_T$ = {pt:.0f} GeV"
        for mass, predicted, pt in zip(*variables.values(), strict=True)
    ]
    return {"largest_errors": event_displays(images, titles, variables, columns=4)}


def find_images(keys: Sequence[tuple], tables: Sequence[Path], predictions: Path) -> list[dict[str, np.ndarray]]:
    """Load the images of jets in the order of their keys (`TABLE_KEY`).

    Raises:
        BadInput: No table contains one of the jets in the file `predictions`.
    """
    images: dict[tuple, dict[str, np.ndarray]] = {}
    events = [event for event, _ in keys]
    for table in map(JetTable, tables):
        if not any(np.isin(batch["event"], events).any() for batch in table.columns(("event",))):
            continue
        for batch in table.batches():
            for i in np.flatnonzero(np.isin(batch.event, events)):
                key = tuple(getattr(batch, name)[i] for name in TABLE_KEY)
                if key in keys:
                    images[key] = energies(batch.take(np.array([i])), table.layers)
    for event, pt in keys:
        if (event, pt) not in images:
            jet = f"the jet of event {event} and pT {pt:g} GeV"
            raise BadInput(f"{predictions}: {jet} is in none of the tables in {tables[0].parent}")
    return [images[key] for key in keys]
