"""Synthetic jets with the occupancy of simulated ones, for benchmarks without data."""

import numpy as np

from topmass.jets import QUARKS
from topmass.layers import SIDE, find_layer
from topmass.preprocessing.shards import Shard, ShardMeta

VALUES = {"ecal": 255, "hcal": 35}
VALUES |= dict.fromkeys(("track_pt", "track_dz", "track_d0"), 27) | dict.fromkeys(("bpix1", "bpix2", "bpix3"), 30)
"""Mean number of hits per jet in each layer, as in the simulation."""
WIDTH = 18.0
"""Standard deviation of the hit positions around the centre of the window, pixels."""


def make_synthetic_shard(jets: int, layers: tuple[str, ...], seed: int = 1) -> Shard:
    """Generate a shard of jets with flat masses from 85 to 500 GeV, in the named layers."""
    rng = np.random.default_rng(seed)
    rows, pixels, numbers = [], [], []
    for number, name in enumerate(layers):
        cell = find_layer(name).cell
        row = np.repeat(np.arange(jets), rng.poisson(VALUES[name], jets))
        places = np.clip(rng.normal(SIDE / 2, WIDTH, (2, len(row))), 0, SIDE - 1).astype(int) // cell
        pixel = places[0] * (SIDE // cell) + places[1]
        # At most one hit per pixel in a layer of a jet.
        row, pixel = np.unique(np.stack([row, pixel]), axis=1)
        rows, pixels, numbers = [*rows, row], [*pixels, pixel], [*numbers, np.full(len(row), number)]
    row, pixel, layer = (np.concatenate(each) for each in (rows, pixels, numbers))
    order = np.argsort(row, kind="stable")
    offset = np.searchsorted(row[order], np.arange(jets + 1))
    arrays = {"pixel": pixel[order].astype("u2"), "layer": layer[order].astype("u1")}
    arrays["value"] = rng.exponential(0.1, len(row)).clip(0, 1).astype("f2")
    arrays |= {name: rng.uniform(0, 170, jets).astype("f4") for name in ("ieta", "iphi", "jet_mass", "softdrop_mass")}
    arrays |= {name: np.full(jets, np.nan, "f4") for name in QUARKS}
    arrays |= {"mass": rng.uniform(85, 500, jets).astype("f4"), "pt": rng.uniform(400, 1000, jets).astype("f4")}
    arrays |= {"event": np.arange(jets), "weight": np.ones(jets, "f4")}
    cells = tuple(find_layer(name).cell for name in layers)
    return Shard(offset, arrays, ShardMeta(layers, cells, (1.0,) * len(layers), 0.0, "none", "made up"))
