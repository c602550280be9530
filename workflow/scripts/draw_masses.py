"""Draw the distribution of the generated mass of the jets that unbiasing has left."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.drawing.masses import mass_distribution
from topmass.drawing.style import save, styled
from topmass.files import BadInput
from topmass.preprocessing.shards import read_numbers
from topmass.preprocessing.statistics import Statistics, digest_of

TITLES = {"train": "training"}
BINS = 20
"""Where the statistics do not divide the mass into bins, because it is not made flat."""


def draw_masses(shards: Mapping[str, Sequence[Path]], statistics: Path, masses: Path, colours: Sequence[str]) -> None:
    """Draw the masses of the shards of each split, with what the statistics say of the unbiasing."""
    known = Statistics.load(statistics)
    jets = {}
    for split, paths in shards.items():
        if split not in known.kept:
            raise BadInput(f"{statistics}: nothing about the split '{split}'")
        mass, weight = read_numbers(paths, ("mass", "weight"), digest_of(statistics))
        jets[TITLES.get(split, split)] = (mass, weight, describe(len(mass), known.kept[split]))
        say(f"{split}: {len(mass):,} jets")
    edges = known.flattening.mass_edges
    if len(edges) > 2:
        before = (1 / known.flattening.acceptance).sum(axis=1)
    else:
        edges, before = np.linspace(edges[0], edges[-1], BINS + 1), None
    with styled(colours):
        save(mass_distribution(jets, edges, before), masses)


def describe(jets: int, kept: Mapping[str, float]) -> str:
    """The number of jets of a split, the share that unbiasing has kept and how flat they are."""
    flat = rf", $\chi^2$/ndf = {kept['chi2']:.0f}/{kept['degrees_of_freedom']}" if kept["degrees_of_freedom"] else ""
    return f"{jets:,} jets, {kept['share']:.0%} kept{flat}"


if __name__ == "__main__":
    with stage("draw_masses", snakemake.log[0]):
        draw_masses(
            {name: [Path(path) for path in snakemake.input[name]] for name in ("train", "validation", "test")},
            Path(snakemake.input.statistics),
            Path(snakemake.output.masses[0]),
            snakemake.params.colours,
        )
