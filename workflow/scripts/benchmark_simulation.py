"""Cost of the simulation relative to Pythia alone.

    python workflow/scripts/benchmark_simulation.py [--events 3000]

Three measurements on the same events, with the settings of the first simulated sample of the configuration:

(a) `next()`: Pythia alone, its events discarded; the upper bound of any simulation with Pythia.
(b) read-out: the same events as arrays of final particles, `Generator.batch`.
(c) chain: also detector, jets and images, up to a jet table on disk.

Rates are per CPU second of one process, after the start of Pythia and compilation. The three take turns, in rounds of
500 events, so that machine noise affects all alike. Ratios are computed per round; their mean and standard deviation
are printed. The share of each part is its fraction of the time of (c).
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

# Python does not search this folder by itself with -I, -P or PYTHONSAFEPATH.
sys.path.append(str(Path(__file__).resolve().parent))
from simulate import to_batch
from topmass.config.configuration import configure
from topmass.console import print_status
from topmass.jets import write_jets
from topmass.layers import LAYERS
from topmass.simulation.clustering import JetSettings, cluster_jets
from topmass.simulation.detector import DetectorSettings, detect
from topmass.simulation.generator import Generator, GeneratorSettings
from topmass.simulation.imaging import make_images

ROUND, WARM_UP = 500, 20
"""Events per round and before the first round."""
PARTS = ("generation", "detector", "jets", "images", "table")
Settings = tuple[GeneratorSettings, DetectorSettings, JetSettings]


def benchmark_simulation(events: int) -> str:
    """Measure `events` events, rounded up to complete rounds, in each of the three ways; return a table to print."""
    return describe(*time_rounds(read_settings(), events))


def time_rounds(settings: Settings, events: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Measure the CPU seconds of the three ways in rounds.

    Args:
        settings: Settings of generator, detector and jets.
        events: Number of events, rounded up to complete rounds.

    Returns:
        CPU seconds `(rounds, 3)` of the three ways, `(rounds, len(PARTS))` of the parts of (c), and all jets of (c).
    """
    bare, arrays, whole = (Generator(settings[0], np.random.SeedSequence(1)) for _ in range(3))
    seconds, parts, jets = [], [], 0
    with TemporaryDirectory() as folder:
        table = Path(folder) / "jets.parquet"
        for size in [WARM_UP] + [ROUND] * -(-events // ROUND):
            next_seconds = cpu_seconds(lambda size=size: [bare.pythia.next() for _ in range(size)])
            batch_seconds = cpu_seconds(lambda size=size: arrays.batch(size))
            by_part, found = chain(whole, settings, size, table)
            if size == ROUND:
                seconds.append((next_seconds, batch_seconds, sum(by_part)))
                parts.append(by_part)
                jets += found
    return np.array(seconds), np.array(parts), jets


def read_settings() -> Settings:
    """Return the settings of the first simulated sample of `config.yaml`."""
    samples = configure([])["samples"].values()
    simulate = next(sample["simulate"] for sample in samples if "simulate" in sample)
    kinds = {"generator": GeneratorSettings, "detector": DetectorSettings, "selection": JetSettings}
    return tuple(kind(**simulate[name]) for name, kind in kinds.items())


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds that `work` takes in this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def chain(events: Generator, settings: Settings, n: int, table: Path) -> tuple[list[float], int]:
    """Run n events like the stage `simulate`; return the CPU seconds of each of `PARTS` and the number of jets."""
    _, detector_settings, jet_settings = settings
    rng = np.random.default_rng(1)
    clock = [time.process_time()]
    particles, tops = events.batch(n)
    clock.append(time.process_time())
    readout = detect(particles, detector_settings, rng)
    clock.append(time.process_time())
    jets = cluster_jets(readout, tops, jet_settings)
    clock.append(time.process_time())
    images = make_images(readout, jets, detector_settings, rng)
    clock.append(time.process_time())
    batch = to_batch(jets, images, jet_settings.jet_radius)
    write_jets(table, [batch], LAYERS, {})
    clock.append(time.process_time())
    return np.diff(clock).tolist(), len(batch)


def describe(seconds: np.ndarray, parts: np.ndarray, jets: int) -> str:
    """Return the table from seconds `(rounds, 3)`, parts `(rounds, len(PARTS))` and the number of jets."""
    ratio = seconds[:, :1] / seconds
    events_rate = len(seconds) * ROUND / seconds.sum(axis=0)
    jets_rate = ("–", "–", f"{jets / seconds[:, 2].sum():,.0f}")
    lines = [f"{len(seconds)} rounds of {ROUND} events, CPU seconds of one process", ""]
    lines.append(f"{'':16}events/s  jets/s  ratio to (a)")
    for i, name in enumerate(("(a) next()", "(b) read-out", "(c) chain")):
        spread = f"{ratio[:, i].mean():.3f} ± {ratio[:, i].std():.3f}" if i else "1"
        lines.append(f"{name:16}{events_rate[i]:8,.0f}{jets_rate[i]:>8}  {spread}")
    share = parts.sum(axis=0) / parts.sum()
    lines += ["", "share of (c): " + ", ".join(f"{name} {part:.0%}" for name, part in zip(PARTS, share, strict=True))]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What simulating costs beyond Pythia itself.")
    parser.add_argument("--events", type=int, default=3000, help="in each of the three ways")
    arguments = parser.parse_args()
    print_status(benchmark_simulation(arguments.events))
