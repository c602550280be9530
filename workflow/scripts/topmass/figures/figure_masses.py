"""Figure of the generated mass after flattening."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from topmass.console import log_info
from topmass.files import BadInput, file_digest
from topmass.plotting.mass_spectrum import mass_distribution
from topmass.plotting.style import save, style_context
from topmass.preprocessing.shards import read_jet_arrays
from topmass.preprocessing.statistics import Statistics

TITLES = {"train": "training"}
BINS = 20
"""Number of mass bins if the mass is not flattened, so that the statistics define no bins."""


def draw_masses(
    train: Sequence[Path],
    validation: Sequence[Path],
    test: Sequence[Path],
    statistics: Path,
    masses: Path,
    colours: Sequence[str],
) -> None:
    """Draw the masses of the shards of each split, with the results of the flattening.

    Args:
        train: Shards of the training split.
        validation: Shards of the validation split.
        test: Shards of the test split.
        statistics: Statistics of the dataset.
        masses: Figure to write.
        colours: Colours of the figures.

    Raises:
        BadInput: The statistics lack a split.
    """
    known = Statistics.load(statistics)
    jets = {}
    for split, paths in {"train": train, "validation": validation, "test": test}.items():
        if split not in known.kept:
            raise BadInput(f"{statistics}: nothing about the split '{split}'")
        mass, weight = read_jet_arrays(paths, ("mass", "weight"), file_digest(statistics))
        jets[TITLES.get(split, split)] = (mass, weight, describe(len(mass), known.kept[split]))
        log_info(f"{split}: {len(mass):,} jets")
    edges = known.flattening.mass_edges
    if len(edges) > 2:
        before = (1 / known.flattening.keep_probability).sum(axis=1)
    else:
        edges, before = np.linspace(edges[0], edges[-1], BINS + 1), None
    with style_context(colours):
        save(mass_distribution(jets, edges, before), masses)


def describe(jets: int, kept: Mapping[str, float]) -> str:
    """Return a note with the number of jets of a split, the fraction kept by flattening, and χ²/ndf."""
    flat = rf", $\chi^2$/ndf = {kept['chi2']:.0f}/{kept['degrees_of_freedom']}" if kept["degrees_of_freedom"] else ""
    return f"{jets:,} jets, {kept['share']:.0%} kept{flat}"
