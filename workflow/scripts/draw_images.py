"""Draw the average image of jets, layer by layer, and six single jets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.drawing.images import average, mean_images, single_jets
from topmass.drawing.style import save, styled
from topmass.files import BadInput
from topmass.jets import JetBatch, JetTable, join
from topmass.layers import Layer

MOST_JETS = 2000
SINGLE_JETS = 6


def draw_images(
    table: Path, average_png: Path, average_pdf: Path, single_png: Path, single_pdf: Path, colours: Sequence[str]
) -> None:
    """Draw the first jets of a table: their mean in each layer, and six of them from light to heavy."""
    opened = JetTable(table)
    jets = first_jets(opened)
    say(f"{len(jets):,} jets, {len(opened.layers)} layers")
    chosen = spread_in_mass(jets.mass)
    images = [energies(jets.take(np.array([i])), opened.layers) for i in chosen]
    with styled(colours):
        save(average(mean_images(jets, opened.layers), opened.layers, len(jets)), average_png, average_pdf)
        save(single_jets(images, jets.mass[chosen], jets.pt[chosen]), single_png, single_pdf)


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


def energies(jet: JetBatch, layers: Sequence[Layer]) -> dict[str, np.ndarray]:
    """Image of one jet in each layer of energies or momenta, GeV a cell rather than a pixel."""
    images = mean_images(jet, layers)
    return {
        layer.name: image * layer.cell**2 for layer, image in zip(layers, images, strict=True) if layer.unit == "GeV"
    }


if __name__ == "__main__":
    with stage("draw_images", snakemake.log[0]):
        draw_images(
            Path(snakemake.input.table),
            Path(snakemake.output.average_png),
            Path(snakemake.output.average_pdf),
            Path(snakemake.output.single_png),
            Path(snakemake.output.single_pdf),
            snakemake.params.colours,
        )
