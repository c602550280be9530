"""Draw the average image of jets, layer by layer, and six single jets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.drawing.images import average, mean_images
from topmass.drawing.single_jets import energies, single_jets
from topmass.drawing.style import save, styled
from topmass.files import BadInput
from topmass.jets import JetBatch, JetTable, join

MOST_JETS = 2000
SINGLE_JETS = 6


def draw_images(table: Path, mean: Path, single: Path, colours: Sequence[str]) -> None:
    """Draw the first jets of a table: their mean in each layer, and six of them from light to heavy."""
    opened = JetTable(table)
    jets = first_jets(opened)
    say(f"{len(jets):,} jets, {len(opened.layers)} layers")
    chosen = spread_in_mass(jets.mass)
    images = [energies(jets.take(np.array([i])), opened.layers) for i in chosen]
    titles = [f"$m$ = {jets.mass[i]:.0f} GeV, $p_T$ = {jets.pt[i]:.0f} GeV" for i in chosen]
    with styled(colours):
        save(average(mean_images(jets, opened.layers), opened.layers, len(jets)), mean)
        save(single_jets(images, titles, {"mass": jets.mass[chosen], "pt": jets.pt[chosen]}, columns=3), single)


def first_jets(table: JetTable) -> JetBatch:
    """The first MOST_JETS jets of the table, or all if it has fewer. BadInput if it has none."""
    found: list[JetBatch] = []
    for batch in table.batches():
        found.append(batch)
        if sum(map(len, found)) >= MOST_JETS:
            break
    if not sum(map(len, found)):
        raise BadInput(f"{table.path}: no jet")
    jets = join(found)
    return jets.take(np.arange(min(len(jets), MOST_JETS)))


def spread_in_mass(mass: np.ndarray) -> np.ndarray:
    """Indices of SINGLE_JETS jets (or all there are) at evenly spaced quantiles of the mass (N,), in its order."""
    number = min(SINGLE_JETS, len(mass))
    return np.argsort(mass, kind="stable")[((np.arange(number) + 0.5) * len(mass) / number).astype(int)]


if __name__ == "__main__":
    with stage("draw_images", snakemake.log[0]):
        draw_images(
            Path(snakemake.input.table),
            Path(snakemake.output.average_images[0]),
            Path(snakemake.output.single_jets[0]),
            snakemake.params.colours,
        )
