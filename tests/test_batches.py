"""Sparse jets, their dense images and mirror images, and the order in which an epoch takes them."""

import weakref

import numpy as np
import pytest
import torch

from topmass.data.augmentation import sample_flips
from topmass.data.batches import BYTES_PER_VALUE, SparseJets
from topmass.data.batching import iter_batches
from topmass.data.datasets import InMemoryDataset, ShardedDataset, read_ahead
from topmass.data.shard_files import ShardFiles
from topmass.files import BadInput
from topmass.layers import ETA, LAYERS, PHI, SIDE
from topmass.preprocessing.shards import MASS_SCALE, Shard
from topmass.process_group import ProcessGroup
from training_runs import CPU, dense, events, find


def dense_by_hand(shard: Shard, jet: int) -> np.ndarray:
    """The image (C, H, W) of one jet of a shard, value by value."""
    image = np.zeros((len(LAYERS), SIDE, SIDE), np.float32)
    for k in range(shard.offset[jet], shard.offset[jet + 1]):
        layer, pixel, value = (shard.arrays[name][k] for name in ("layer", "pixel", "value"))
        cell = LAYERS[layer].cell
        row, column = divmod(int(pixel), SIDE // cell)
        image[layer, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = value
    return image


@pytest.fixture
def memory(dataset) -> InMemoryDataset:
    files = find(dataset)
    return InMemoryDataset(files.read(range(len(files.paths)), CPU))


@pytest.fixture
def disk(dataset) -> ShardedDataset:
    """Three shards, of which a window holds one."""
    files = find(dataset)
    return ShardedDataset(files, float(files.bytes.max()))


def test_a_dense_image_has_each_value_in_its_place(dataset, memory):
    shards = [Shard.load(path) for path in dataset[1]["train"]]
    jets = memory.jets.take(np.array([0, len(shards[0]) + 3, 5]))
    (batch,) = dense(memory, InMemoryDataset(jets).in_order())
    assert batch.image.shape == (3, 8, SIDE, SIDE) and batch.image.is_contiguous(memory_format=torch.channels_last)
    for image, (shard, row) in zip(batch.image, [(0, 0), (1, 3), (0, 5)], strict=True):
        assert np.array_equal(image.numpy(), dense_by_hand(shards[shard], row))
    assert batch.target[1] == np.float32(shards[1].arrays["mass"][3]) / np.float32(MASS_SCALE)
    assert batch.position[1].tolist() == pytest.approx(
        [shards[1].arrays["iphi"][3] / 360, shards[1].arrays["ieta"][3] / 170]
    )


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_an_epoch_holds_every_jet_once_in_an_order_of_its_own(kind, request):
    source = request.getfixturevalue(kind)
    first, again, second, other = (events(source.shuffled(*key)) for key in ((1, 1), (1, 1), (1, 2), (2, 1)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second) and not np.array_equal(first, other)
    assert np.array_equal(np.sort(first), np.sort(events(source.in_order())))


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_any_seed_of_64_bits_has_an_order_of_its_own(kind, request):
    source = request.getfixturevalue(kind)
    # From the first on, the number that the order of smaller seeds is made of has more than 64 bits.
    orders = [events(source.shuffled(seed, 1)).tolist() for seed in (2**64 // 1_000_003, 20240615123456, 2**64 - 1)]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_the_order_of_a_seed_stays_what_it_was(memory):
    (segment,) = memory.shuffled(202406151234, 3)
    generator = torch.Generator().manual_seed(202406151234 * 1_000_003 + 3)
    assert torch.equal(segment.order, torch.randperm(len(memory), generator=generator))


@pytest.mark.parametrize("kind", ["memory", "disk"])
@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_an_epoch_goes_on_at_any_step_as_if_it_had_begun_there(kind, size, request):
    source = request.getfixturevalue(kind)
    whole = [batch.event.tolist() for batch in iter_batches(source.shuffled(1, 1), size, ProcessGroup())]
    assert [len(each) for each in whole[:-1]] == [size] * (len(whole) - 1)
    for step in {0, 1, len(whole) // 2, len(whole) - 1, len(whole)}:
        rest = [
            batch.event.tolist() for batch in iter_batches(source.shuffled(1, 1, step * size), size, ProcessGroup())
        ]
        assert rest == whole[step:]


def test_windows_have_the_jets_of_the_shards_and_two_of_them_are_in_memory(disk, memory, monkeypatch):
    alive, most, read = weakref.WeakSet(), [], ShardFiles.read

    def watched(files, shards, device):
        most.append(len(alive))
        jets = read(files, shards, device)
        assert len(jets.value) * BYTES_PER_VALUE <= disk.window < sum(files.bytes)
        # A SparseJets is compared by its tensors, which a set cannot.
        alive.add(jets.target)
        return jets

    monkeypatch.setattr(ShardFiles, "read", watched)
    windows = dense(disk, disk.in_order(), 50)
    together = dense(memory, memory.in_order(), 50)
    # One is read while another is used, unless that one has been used already.
    assert len(windows) == len(together) and len(most) == 3 and max(most) <= 1
    for one, other in zip(windows, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_processes_share_each_batch_in_its_order(kind, request):
    source = request.getfixturevalue(kind)
    alone = list(iter_batches(source.shuffled(1, 1), 50, ProcessGroup()))
    shares = [list(iter_batches(source.shuffled(1, 1), 50, ProcessGroup(rank, 3))) for rank in range(3)]
    for whole, *parts in zip(alone, *shares, strict=True):
        assert torch.equal(whole.sparse.target, torch.cat([part.sparse.target for part in parts]))
        assert torch.equal(whole.sparse.value, torch.cat([part.sparse.value for part in parts]))
        assert {(part.jets, part.weight) for part in parts} == {(whole.jets, whole.weight)}


def test_the_share_of_a_process_may_be_empty(memory):
    jets = InMemoryDataset(memory.jets.take(np.array([3])))
    (batch,) = dense(jets, jets.in_order(), 8, ProcessGroup(0, 2))
    assert batch.image.shape == (0, 8, SIDE, SIDE)


def test_what_a_thread_reads_ahead_is_the_same_and_an_error_comes_through():
    assert list(read_ahead(iter(range(1, 9)), 3)) == list(range(1, 9))
    computed = []
    started = read_ahead((computed.append(number) or number for number in range(1, 99)), 3)
    assert next(started) == 1
    started.close()
    assert len(computed) <= 4

    def broken():
        yield 1
        raise BadInput("a shard is gone")

    with pytest.raises(BadInput, match="a shard is gone"):
        list(read_ahead(broken(), 3))


def test_a_flip_mirrors_the_window_and_the_signs_that_go_with_it(memory):
    flipped = InMemoryDataset(memory.jets, ["eta", "phi"])
    (plain,) = dense(memory, memory.shuffled(1, 1), 1000)
    (segment,) = flipped.shuffled(1, 1)
    (mirrored,) = dense(flipped, [segment], 1000)
    names = memory.meta.layers
    assert set(segment.flips.tolist()) == {0, ETA, PHI, ETA | PHI}
    for jet, bits in enumerate(segment.flips[:40].tolist()):
        expected = plain.image[jet].clone()
        if bits & ETA:
            expected = expected.flip(1)
            expected[names.index("track_dz")] *= -1
        if bits & PHI:
            expected = expected.flip(2)
            expected[names.index("track_d0")] *= -1
        assert torch.equal(mirrored.image[jet], expected)
        ieta, other = (round(170 * float(each.position[jet, 1])) for each in (plain, mirrored))
        assert other == (-1 - ieta if bits & ETA else ieta) and mirrored.position[jet, 0] == plain.position[jet, 0]


def test_flips_are_drawn_in_the_directions_that_are_asked_for(memory):
    generator = torch.Generator().manual_seed(1)
    assert sample_flips(10, [], generator) is None
    assert set(sample_flips(100, ["eta"], generator).tolist()) == {0, ETA}
    assert set(sample_flips(100, ["eta", "phi"], generator).tolist()) == {0, 1, 2, 3}
    flipped = InMemoryDataset(memory.jets, ["phi"])
    assert np.array_equal(events(flipped.shuffled(1, 1)), events(memory.shuffled(1, 1)))
    plain, mirrored = (dense(source, source.shuffled(1, 1))[0] for source in (memory, flipped))
    assert not torch.equal(plain.image, mirrored.image) and torch.equal(plain.target, mirrored.target)


def test_weights_of_jets_come_along(dataset):
    shard = Shard.load(dataset[1]["train"][0])
    shard.arrays["weight"] = np.arange(len(shard), dtype="f4")
    source = InMemoryDataset(SparseJets.of(shard, CPU))
    for batch in iter_batches(source.shuffled(1, 1), 50, ProcessGroup()):
        assert batch.weight == float(batch.sparse.weight.sum())
    assert (
        sum(batch.weight for batch in iter_batches(source.in_order(), 50, ProcessGroup()))
        == shard.arrays["weight"].sum()
    )
