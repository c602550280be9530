"""Synthetic jets with the occupancy of simulated ones."""

import numpy as np

from topmass.jets import QUARKS
from topmass.layers import SIDE, find_layer
from topmass.preprocessing.shards import Shard, ShardMeta

MEAN_HITS = {"ecal": 255, "hcal": 35}
MEAN_HITS |= dict.fromkeys(("track_pt", "track_dz", "track_d0"), 27) | dict.fromkeys(("bpix1", "bpix2", "bpix3"), 30)
"""Mean number of hits per jet in each layer, as in the simulation."""
WIDTH = 18.0
"""Standard deviation of the hit positions around the centre of the window, pixels."""


def make_synthetic_shard(jets: int, layers: tuple[str, ...], seed: int = 1) -> Shard:
    """Generate a shard of jets with flat masses from 85 to 500 GeV, in the named layers."""
    rng = np.random.default_rng(seed)
    cells = tuple(find_layer(name).cell for name in layers)
    hits = []
    for number, (name, cell) in enumerate(zip(layers, cells, strict=True)):
        jet = np.repeat(np.arange(jets), rng.poisson(MEAN_HITS[name], jets))
        row, column = np.clip(rng.normal(SIDE / 2, WIDTH, (2, len(jet))), 0, SIDE - 1).astype(int) // cell
        # At most one hit per pixel in a layer of a jet.
        jet, pixel = np.unique(np.stack([jet, row * (SIDE // cell) + column]), axis=1)
        hits.append(np.stack([jet, pixel, np.full(len(jet), number)]))
    jet, pixel, layer = np.concatenate(hits, axis=1)
    order = np.argsort(jet, kind="stable")
    arrays = {"pixel": pixel[order].astype("u2"), "layer": layer[order].astype("u1")}
    arrays["value"] = rng.exponential(0.1, len(jet)).clip(0, 1).astype("f2")
    arrays |= {name: rng.uniform(0, 170, jets).astype("f4") for name in ("ieta", "iphi", "jet_mass", "softdrop_mass")}
    arrays |= {name: np.full(jets, np.nan, "f4") for name in QUARKS}
    arrays |= {"mass": rng.uniform(85, 500, jets).astype("f4"), "pt": rng.uniform(400, 1000, jets).astype("f4")}
    arrays |= {"event": np.arange(jets), "weight": np.ones(jets, "f4")}
    meta = ShardMeta(layers, cells, (1.0,) * len(layers), 0.0, "none", "made up")
    return Shard(np.searchsorted(jet[order], np.arange(jets + 1)), arrays, meta)
