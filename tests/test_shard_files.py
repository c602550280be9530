"""Shards of a split, and training from disk."""

from pathlib import Path

import pytest

from benchmarks.synthetic import make_synthetic_shard
from topmass.data.batching import iter_batches
from topmass.data.placement import choose_placement
from topmass.data.shard_files import LOAD_FACTOR, ShardFiles
from topmass.files import BadInput
from topmass.preprocessing.shards import Shard
from topmass.process_group import ProcessGroup
from training_runs import CPU, find


def test_shards_that_cannot_be_trained_with_are_refused(dataset, tmp_path):
    path = dataset[1]["train"][0]
    shard = Shard.load(path)
    lonely = tmp_path / "lonely" / "0.npz"
    one = shard.offset[1]
    arrays = {name: each[: one if name in ("pixel", "layer", "value") else 1] for name, each in shard.arrays.items()}
    Shard(shard.offset[:2], arrays, shard.meta).save(lonely)
    with pytest.raises(BadInput, match=r"lonely: 1 jet in all shards: too few to train with"):
        ShardFiles.find([lonely], shard.meta.statistics)
    with pytest.raises(BadInput, match=r"0\.npz: a shard of other statistics"):
        ShardFiles.find([path], "another")
    files = find(dataset)
    lonely.replace(path)
    with pytest.raises(BadInput, match=r"0\.npz: changed since the training started"):
        files.read([0], CPU)
    path.write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"0\.npz: not a complete shard"):
        find(dataset)


def test_an_epoch_from_disk_takes_no_more_memory_than_it_may(tmp_path):
    shard = make_synthetic_shard(2000, ("track_pt", "ecal", "hcal"))
    paths = [tmp_path / f"{number:02d}.npz" for number in range(30)]
    for path in paths:
        shard.save(path)
    files = ShardFiles.find(paths, "made up")
    # Two windows of two shards, and one shard that is read and checked.
    allowed = (4 + LOAD_FACTOR) * files.bytes.max()
    sources, _ = choose_placement({"train": files}, "auto", allowed / 1e9, CPU, [], ProcessGroup(), 1)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    before, most, jets = resident(), 0, 0
    for part in iter_batches(sources["train"].shuffled(1, 1), 256, ProcessGroup()):
        most, jets = max(most, resident()), jets + part.jets
    assert jets == 60_000 and allowed < files.bytes.sum() / 2
    # The allocator keeps some memory of earlier tests.
    assert most - before < allowed + 2**23
