"""Event displays of the test jets with the largest errors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info
from topmass.evaluation.predictions import Predictions
from topmass.files import BadInput
from topmass.jets import JetBatch, JetTable
from topmass.plotting.event_displays import energies, event_displays
from topmass.plotting.style import save, style_context

JETS = 8
SAME = ("event", "mass", "pt")
"""Variables that identify a jet."""


def draw_largest_errors(
    predictions: Path, tables: Sequence[Path], largest_errors: Path, colours: Sequence[str]
) -> None:
    """Draw the jets with the largest errors in descending order, with both masses.

    Args:
        predictions: Predictions for the test jets.
        tables: Jet tables that contain the images.
        largest_errors: Figure to write.
        colours: Colours of the figures.

    Raises:
        BadInput: No table contains one of the jets.
    """
    jets = Predictions.load(predictions)
    error = np.abs(jets.predicted - jets.mass)
    chosen = np.argsort(-error, kind="stable")[:JETS]
    log_info(f"the largest of {len(error):,} errors are {error[chosen[-1]]:.0f} to {error[chosen[0]]:.0f} GeV")
    wanted = [tuple(getattr(jets, name)[i] for name in SAME) for i in chosen]
    images = find_images(wanted, tables, predictions)
    known = {name: getattr(jets, name)[chosen] for name in ("mass", "predicted", "pt")}
    titles = [
        f"$m$ = {mass:.0f}, predicted {predicted:.0f} GeV\n$p_T$ = {pt:.0f} GeV"
        for mass, predicted, pt in zip(*known.values(), strict=True)
    ]
    with style_context(colours):
        save(event_displays(images, titles, known, columns=4), largest_errors)


def find_images(wanted: Sequence[tuple], tables: Sequence[Path], predictions: Path) -> list[dict[str, np.ndarray]]:
    """Load the images of jets in the given order.

    Args:
        wanted: Event, mass and pT of each jet.
        tables: Jet tables to search.
        predictions: File of the predictions, for messages.

    Raises:
        BadInput: No table contains one of the jets.
    """
    found: dict[tuple, dict[str, np.ndarray]] = {}
    for path in tables:
        table = JetTable(path)
        events = np.concatenate([each["event"] for each in table.columns(("event",))] or [[]])
        if np.isin([event for event, *_ in wanted], events).any():
            for batch in table.batches():
                found |= {key: energies(batch.take(np.array([i])), table.layers) for i, key in keys(batch, wanted)}
    for event, mass, pt in wanted:
        if (event, mass, pt) not in found:
            trouble = f"the jet of event {event}, {mass:g} GeV and pT {pt:g} GeV"
            raise BadInput(f"{predictions}: {trouble} is in none of the tables in {tables[0].parent}")
    return [found[key] for key in wanted]


def keys(batch: JetBatch, wanted: Sequence[tuple]) -> list[tuple[int, tuple]]:
    """Return index and identifying variables of the wanted jets in a batch."""
    rows = np.flatnonzero(np.isin(batch.event, [event for event, *_ in wanted]))
    named = [(i, tuple(getattr(batch, name)[i] for name in SAME)) for i in rows]
    return [(i, key) for i, key in named if key in wanted]
