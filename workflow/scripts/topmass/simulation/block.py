"""Simulation of one block of jets and their images."""

from collections.abc import Iterator, Mapping

import numpy as np

from topmass.files import BadInput
from topmass.jets import EVENTS_PER_BLOCK
from topmass.simulation.clustering import Jets, JetSettings, cluster_jets
from topmass.simulation.detector import DetectorSettings, detect
from topmass.simulation.generator import Generator, GeneratorSettings
from topmass.simulation.imaging import Images, make_images

EVENTS_PER_BATCH = 500
"""Small enough for a batch to fit in the cache, large enough to make its fixed cost small."""
MAX_EVENTS_WITHOUT_JET = 20_000
"""Number of events without a selected jet after which a block fails."""


def generate_block(
    block: int, seed: int, generator: Mapping, detector: Mapping, selection: Mapping
) -> Iterator[tuple[Jets, Images]]:
    """Yield the selected jets of one block and their images, per batch of events.

    The jets depend only on the settings, the seed and the block number.

    Args:
        block: Number of the block; its event numbers start at `block * EVENTS_PER_BLOCK`.
        seed: Seed of all blocks.
        generator: Fields of `GeneratorSettings`.
        detector: Fields of `DetectorSettings`.
        selection: Fields of `JetSettings`.

    Raises:
        BadInput: If no jet is selected in MAX_EVENTS_WITHOUT_JET events, or if all event numbers of the block are used.
    """
    for_generator, for_detector = np.random.SeedSequence((seed, block)).spawn(2)
    events = Generator(GeneratorSettings(**generator), for_generator)
    rng = np.random.default_rng(for_detector)
    detector_settings, jet_settings = (
        DetectorSettings(**{name: float(value) for name, value in detector.items()}),
        JetSettings(**selection),
    )
    found = 0
    for first in range(0, EVENTS_PER_BLOCK, EVENTS_PER_BATCH):
        if first >= MAX_EVENTS_WITHOUT_JET and not found:
            raise BadInput(
                f"block {block}: none of {first:,} events has a jet that passes the selection {dict(selection)}"
            )
        particles, tops = events.batch(EVENTS_PER_BATCH)
        readout = detect(particles, detector_settings, rng)
        jets = cluster_jets(readout, tops, jet_settings)
        images = make_images(readout, jets, detector_settings, rng)
        found += len(jets.event)
        yield jets._replace(event=block * EVENTS_PER_BLOCK + first + jets.event), images
    raise BadInput(f"block {block}: {EVENTS_PER_BLOCK:,} events, all that a block can number, have only {found:,} jets")
