"""One block of simulated jets: from a random seed to jets and their images."""

from collections.abc import Iterator, Mapping

import numpy as np

from topmass.files import BadInput
from topmass.jets import EVENTS_PER_BLOCK
from topmass.simulation.clustering import Jets, JetSettings, find_jets
from topmass.simulation.detector import DetectorSettings, detect
from topmass.simulation.generator import Generator, GeneratorSettings
from topmass.simulation.imaging import Images, take_images

EVENTS_PER_BATCH = 500
"""Few enough to keep a batch in the cache, many enough to make its fixed cost small."""
HOPELESS = 20_000
"""Events without a single selected jet after which a block is given up."""


def image_block(
    block: int, seed: int, generator: Mapping, detector: Mapping, selection: Mapping
) -> Iterator[tuple[Jets, Images]]:
    """The selected jets of one block and their images, batch by batch of events, without end.

    They depend on the settings, the seed and the block number alone. Events are numbered within the range of the block.
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
        if first >= HOPELESS and not found:
            raise BadInput(
                f"block {block}: none of {first:,} events has a jet that passes the selection {dict(selection)}"
            )
        particles, tops = events.batch(EVENTS_PER_BATCH)
        readout = detect(particles, detector_settings, rng)
        jets = find_jets(readout, tops, jet_settings)
        images = take_images(readout, jets, detector_settings, rng)
        found += len(jets.event)
        yield jets._replace(event=block * EVENTS_PER_BLOCK + first + jets.event), images
    raise BadInput(f"block {block}: {EVENTS_PER_BLOCK:,} events, all that a block can number, have only {found:,} jets")
