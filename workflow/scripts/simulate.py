"""Simulation of one block of jets: Pythia, detector, clustering, imaging, jet table."""

import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from topmass.console import log_info, stage
from topmass.jets import ROW_GROUP, JetBatch, concat_jets, write_jets
from topmass.layers import LAYERS
from topmass.progress import track
from topmass.simulation.block import generate_block
from topmass.simulation.clustering import Jets
from topmass.simulation.containment import quarks_in_jet, quarks_in_window
from topmass.simulation.imaging import Images


def simulate(table: Path, block: int, jets: int, seed: int, settings: Mapping[str, Mapping]) -> None:
    """Write a jet table that depends only on the settings, the seed and the block number.

    Args:
        table: Jet table to write.
        block: Number of the block.
        jets: Number of jets.
        seed: Seed of the sample.
        settings: Settings of the simulation, as in `topmass.simulation.block.generate_block`.
    """
    start = time.monotonic()
    # No progress bar, since several blocks are simulated in parallel.
    progress = track(produce(block, seed, settings), f"block {block}", "jet", jets, len, bar=False)
    source = {
        "simulation": settings,
        "seed": seed,
        "block": block,
        "versions": {name: version(name) for name in ("pythia8mc", "fastjet")},
    }
    write_jets(table, row_groups(progress, jets), LAYERS, source)
    seconds = time.monotonic() - start
    log_info(f"block {block}: {jets:,} jets in {seconds:.0f} s, {jets / seconds:,.0f} jets/s")


def produce(block: int, seed: int, settings: Mapping[str, Mapping]) -> Iterator[JetBatch]:
    """Yield the selected jets of one block by batches of events; the arguments are those of `generate_block`."""
    for jets, images in generate_block(block, seed, settings):
        yield to_batch(jets, images, settings["selection"]["jet_radius"])


def to_batch(jets: Jets, images: Images, radius: float) -> JetBatch:
    """Convert jets with this jet radius to rows of a jet table."""
    return JetBatch(
        images.offset, *(images.hits[name] for name in ("pixel", "layer", "value")),
        mass=jets.mass, pt=jets.pt, ieta=images.ieta, iphi=images.iphi, eta=jets.eta, phi=jets.phi,
        jet_mass=jets.jet_mass, softdrop_mass=jets.softdrop_mass, top_pt=jets.top_pt, event=jets.event,
        quarks_in_window=quarks_in_window(jets, images), quarks_in_jet=quarks_in_jet(jets, radius),
        gen_jet_pt=jets.gen_jet_pt, gen_jet_mass=jets.gen_jet_mass, gen_softdrop_mass=jets.gen_softdrop_mass,
        pileup=jets.pileup, weight=jets.weight,
    )  # fmt: skip


def row_groups(batches: Iterator[JetBatch], jets: int) -> Iterator[JetBatch]:
    """Yield the first `jets` jets in batches of one row group."""
    waiting: list[JetBatch] = []
    left = jets
    while left:
        size = min(left, ROW_GROUP)
        while sum(map(len, waiting)) < size:
            waiting.append(next(batches))
        together = concat_jets(waiting)
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
            snakemake.params.settings,
        )
