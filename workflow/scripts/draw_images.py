"""Draw the average image of jets, layer by layer, and six single jets."""

from collections.abc import Sequence
from itertools import chain
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
    tables: Sequence[Path],
    average_png: Path,
    average_pdf: Path,
    single_png: Path,
    single_pdf: Path,
    colours: Sequence[str],
) -> None:
    """Draw the first jets of some tables: their mean in each layer, and six of them from light to heavy."""
    jets, layers = first_jets(tables)
    say(f"{len(jets):,} jets, {len(layers)} layers")
    chosen = spread_in_mass(jets.mass)
    images = [energies(jets.take(np.array([i])), layers) for i in chosen]
    with styled(colours):
        save(average(mean_images(jets, layers), layers, len(jets)), average_png, average_pdf)
        save(single_jets(images, jets.mass[chosen], jets.pt[chosen]), single_png, single_pdf)


def first_jets(tables: Sequence[Path]) -> tuple[JetBatch, tuple[Layer, ...]]:
    """The first MOST_JETS jets of the tables, or all there are, and their layers. BadInput if there is none."""
    first = next((table for table in map(JetTable, tables) if len(table)), None)
    if first is None:
        raise BadInput(f"{tables[0]}: no jet, nor in any other table of the sample")
    # Other layers, or cells of another size, are not mixed with those of the first jets.
    alike = (table for table in map(JetTable, tables) if table.layers == first.layers)
    found: list[JetBatch] = []
    for batch in chain.from_iterable(table.batches() for table in alike):
        found.append(batch)
        if sum(map(len, found)) >= MOST_JETS:
            break
    jets = join(found)
    return jets.take(np.arange(min(len(jets), MOST_JETS))), first.layers


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
            [Path(table) for table in snakemake.input.tables],
            Path(snakemake.output.average_png),
            Path(snakemake.output.average_pdf),
            Path(snakemake.output.single_png),
            Path(snakemake.output.single_pdf),
            snakemake.params.colours,
        )
