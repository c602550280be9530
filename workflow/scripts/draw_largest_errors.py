"""Draw the test jets whose predicted masses are the most wrong."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.drawing.single_jets import energies, single_jets
from topmass.drawing.style import save, styled
from topmass.files import BadInput
from topmass.jets import JetBatch, JetTable
from topmass.scoring.predictions import Predictions

JETS = 8
SAME = ("event", "mass", "pt")
"""What a jet is known by."""


def draw_largest_errors(predictions: Path, tables: Sequence[Path], largest: Path, colours: Sequence[str]) -> None:
    """Draw the jets with the largest errors, from large to small, with both masses. BadInput if no table has them."""
    jets = Predictions.load(predictions)
    error = np.abs(jets.predicted - jets.mass)
    chosen = np.argsort(-error, kind="stable")[:JETS]
    say(f"the largest of {len(error):,} errors are {error[chosen[-1]]:.0f} to {error[chosen[0]]:.0f} GeV")
    wanted = [tuple(getattr(jets, name)[i] for name in SAME) for i in chosen]
    images = find_images(wanted, tables, predictions)
    known = {name: getattr(jets, name)[chosen] for name in ("mass", "predicted", "pt")}
    titles = [
        f"$m$ = {mass:.0f}, predicted {predicted:.0f} GeV\n$p_T$ = {pt:.0f} GeV"
        for mass, predicted, pt in zip(*known.values(), strict=True)
    ]
    with styled(colours):
        save(single_jets(images, titles, known, columns=4), largest)


def find_images(wanted: Sequence[tuple], tables: Sequence[Path], predictions: Path) -> list[dict[str, np.ndarray]]:
    """The images of jets of these event, mass and pT, in this order."""
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
    """The jets of a batch that are wanted, each with what it is known by."""
    rows = np.flatnonzero(np.isin(batch.event, [event for event, *_ in wanted]))
    named = [(i, tuple(getattr(batch, name)[i] for name in SAME)) for i in rows]
    return [(i, key) for i, key in named if key in wanted]


if __name__ == "__main__":
    with stage("draw_largest_errors", snakemake.log[0]):
        draw_largest_errors(
            Path(snakemake.input.predictions),
            [Path(path) for path in snakemake.input.tables],
            Path(snakemake.output.largest_errors[0]),
            snakemake.params.colours,
        )
