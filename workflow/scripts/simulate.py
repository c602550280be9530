"""Simulate one block of jets: Pythia, detector, clustering, imaging, jet table."""

import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from topmass.console import say, stage
from topmass.jets import ROW_GROUP, JetBatch, join, write_jets
from topmass.layers import LAYERS
from topmass.simulation.block import image_block
from topmass.simulation.clustering import Jets
from topmass.simulation.containment import quarks_in_jet, quarks_in_window
from topmass.simulation.imaging import Images


def simulate(
    table: Path, block: int, jets: int, seed: int, generator: Mapping, detector: Mapping, selection: Mapping
) -> None:
    """Write a jet table of this many jets, which depend on the settings, the seed and the block number alone."""
    start = time.monotonic()
    batches = row_groups(produce(block, seed, generator, detector, selection), jets)
    source = {
        "simulation": {"generator": dict(generator), "detector": dict(detector), "selection": dict(selection)},
        "seed": seed,
        "block": block,
        "versions": {name: version(name) for name in ("pythia8mc", "fastjet")},
    }
    write_jets(table, batches, LAYERS, source)
    seconds = time.monotonic() - start
    say(f"block {block}: {jets:,} jets in {seconds:.0f} s, {jets / seconds:,.0f} jets/s")


def produce(block: int, seed: int, generator: Mapping, detector: Mapping, selection: Mapping) -> Iterator[JetBatch]:
    """The selected jets of one block, batch by batch of events, without end."""
    for jets, images in image_block(block, seed, generator, detector, selection):
        yield to_batch(jets, images, selection["radius"])


def to_batch(jets: Jets, images: Images, radius: float) -> JetBatch:
    """Jets of this radius as rows of a jet table."""
    return JetBatch(
        images.offset, *(images.hits[name] for name in ("pixel", "layer", "value")),
        mass=jets.mass, pt=jets.pt, ieta=images.ieta, iphi=images.iphi, eta=jets.eta, phi=jets.phi,
        jet_mass=jets.jet_mass, softdrop_mass=jets.softdrop_mass, top_pt=jets.top_pt, event=jets.event,
        quarks_in_window=quarks_in_window(jets, images), quarks_in_jet=quarks_in_jet(jets, radius),
    )  # fmt: skip


def row_groups(batches: Iterator[JetBatch], jets: int) -> Iterator[JetBatch]:
    """The first `jets` jets, in batches of a row group."""
    waiting: list[JetBatch] = []
    left = jets
    while left:
        size = min(left, ROW_GROUP)
        while sum(map(len, waiting)) < size:
            waiting.append(next(batches))
        together = join(waiting)
        yield together.take(np.arange(size))
        waiting = [together.take(np.arange(size, len(together)))]
        left -= size


if __name__ == "__main__":
    with stage("simulate", snakemake.log[0]):
        simulate(
            Path(snakemake.output.table),
            snakemake.params.block,
            snakemake.params.jets,
            snakemake.params.seed,
            snakemake.params.settings["generator"],
            snakemake.params.settings["detector"],
            snakemake.params.settings["selection"],
        )
