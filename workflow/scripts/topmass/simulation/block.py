"""Simulation of one block of jets and their images."""

from collections.abc import Iterator, Mapping

import numpy as np

from topmass.files import BadInput
from topmass.jets import EVENTS_PER_BLOCK
from topmass.simulation.calorimeters import read_calorimeters
from topmass.simulation.candidates import particle_flow
from topmass.simulation.clustering import Jets, JetSettings, cluster_jets
from topmass.simulation.detector import DetectorSettings, detect
from topmass.simulation.generator import Events, Generator, GeneratorSettings, Particles
from topmass.simulation.imaging import Images, make_images
from topmass.simulation.pileup import PileupSettings, minimum_bias_pool, mitigate, overlay

EVENTS_PER_BATCH = 500
"""Small enough for a batch to fit in the cache, large enough to make its fixed cost small."""
MAX_EVENTS_WITHOUT_JET = 20_000
"""Number of events without a selected jet after which a block fails."""


def generate_block(block: int, seed: int, settings: Mapping[str, Mapping]) -> Iterator[tuple[Jets, Images]]:
    """Yield the selected jets of one block and their images, per batch of events.

    The jets depend only on the settings, the seed and the block number.

    Args:
        block: Number of the block; its event numbers start at `block * EVENTS_PER_BLOCK`.
        seed: Seed of all blocks.
        settings: Fields of `GeneratorSettings`, `PileupSettings`, `DetectorSettings` and `JetSettings`, under the keys
            "generator", "pileup", "detector" and "selection"; and under "randomize" the spreads of `randomize`.

    Raises:
        BadInput: If no jet is selected in MAX_EVENTS_WITHOUT_JET events, or if all event numbers of the block are used.
    """
    # One seed per part: a variation of the detector leaves the events, and all random numbers but those of the noise.
    seeds = np.random.SeedSequence((seed, block)).spawn(6)
    generator_seed, detector_seed, pool_seed, overlay_seed, noise_seed, settings_seed = seeds
    generator = Generator(GeneratorSettings(**settings["generator"]), generator_seed)
    pileup, selection = PileupSettings(**settings["pileup"]), JetSettings(**settings["selection"])
    detector = DetectorSettings(**{name: float(value) for name, value in settings["detector"].items()})
    pool = minimum_bias_pool(generator.settings.collision_energy, pool_seed) if pileup.mean else None
    rngs = [np.random.default_rng(each) for each in (detector_seed, noise_seed, overlay_seed)]
    spreads, settings_rng = settings["randomize"], np.random.default_rng(settings_seed)
    n_jets = 0
    for first in range(0, EVENTS_PER_BLOCK, EVENTS_PER_BATCH):
        if first >= MAX_EVENTS_WITHOUT_JET and not n_jets:
            raise BadInput(f"block {block}: none of {first:,} events has a jet that passes the selection {selection}")
        events = generator.batch(EVENTS_PER_BATCH)
        drawn = randomize(pileup, detector, spreads, settings_rng)
        jets, images = simulate_batch(events, pool, *drawn, selection, *rngs)
        n_jets += len(jets.event)
        yield jets._replace(event=block * EVENTS_PER_BLOCK + first + jets.event), images
    raise BadInput(
        f"block {block}: {EVENTS_PER_BLOCK:,} events, all that a block can number, have only {n_jets:,} jets"
    )


def randomize(
    pileup: PileupSettings, detector: DetectorSettings, spreads: Mapping[str, float], rng: np.random.Generator
) -> tuple[PileupSettings, DetectorSettings]:
    """Return the settings with new values from normal distributions around the given ones, at least 0.

    Args:
        pileup: Settings of the pile-up.
        detector: Settings of the detector.
        spreads: Standard deviations of fields of `detector`, and of the mean pile-up under the key "pileup_mean".
        rng: Random numbers.
    """
    means = {"pileup_mean": pileup.mean, **detector._asdict()}
    # Sorted: the order of keys in the configuration has no effect.
    drawn = {name: max(0.0, rng.normal(means[name], spreads[name])) for name in sorted(spreads)}
    return pileup._replace(mean=drawn.pop("pileup_mean", pileup.mean)), detector._replace(**drawn)


def simulate_batch(
    events: Events, pool: Particles | None, pileup: PileupSettings, detector: DetectorSettings, selection: JetSettings,
    rng: np.random.Generator, noise_rng: np.random.Generator, overlay_rng: np.random.Generator,
) -> tuple[Jets, Images]:  # fmt: skip
    """Return the selected jets of a batch of events and their images.

    Args:
        events: Generated events.
        pool: Minimum-bias collisions; None without pile-up.
        pileup: Settings of the pile-up.
        detector: Settings of the detector.
        selection: Settings of the jets.
        rng: Random numbers of the detector.
        noise_rng: Random numbers of the noise of the calorimeters.
        overlay_rng: Random numbers of the pile-up.
    """
    particles = events.particles
    if pool is not None:
        events, particles = overlay(events, pool, pileup, overlay_rng)
    readout = detect(particles, detector, rng)
    # A generator per batch: how many numbers the noise of a batch takes has no effect on the others.
    cells = read_calorimeters(readout, detector, noise_rng.spawn(1)[0])
    candidates, offset = particle_flow(readout, cells)
    if pool is not None:
        candidates, offset = mitigate(candidates, offset, events.pileup)
    jets = cluster_jets(candidates, offset, events, selection)
    return jets, make_images(readout, cells, jets)
