"""The benchmarks and their parts."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.inference import benchmark_inference
from benchmarks.measure import format_number, time_in_turns
from benchmarks.reference import RowGroups, write_dense
from benchmarks.roofline import Limits, model_cost, roofline_rate
from benchmarks.synthetic import MEAN_HITS, make_synthetic_shard
from benchmarks.training import benchmark_training
from topmass.data.batches import SparseJets
from topmass.data.datasets import InMemoryDataset
from topmass.models.resnet15 import ResNetBody
from topmass.preprocessing.shards import Shard
from training_runs import CPU, dense

LAYERS = ("track_pt", "ecal", "hcal")


def test_synthetic_jets_have_the_occupancy_of_simulated_ones(tmp_path):
    shard = make_synthetic_shard(500, LAYERS)
    shard.save(tmp_path / "0.npz")
    assert len(Shard.load(tmp_path / "0.npz")) == 500
    counts = np.bincount(shard.arrays["layer"]) / 500
    for count, layer in zip(counts, LAYERS, strict=True):
        assert 0.75 * MEAN_HITS[layer] < count <= 1.02 * MEAN_HITS[layer]


def test_functions_take_turns():
    calls, clock = [], iter(range(100))
    work = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = time_in_turns(work, 2, lambda: next(clock))
    assert calls == ["a", "b", *"abab"] and all(values.tolist() == [1, 1] for values in seconds.values())


def test_numbers_of_a_table_have_three_digits_or_more():
    assert [format_number(value) for value in (12345.6, 0.00123, np.nan, 3, "hits")] == ["12,346", "0.00123", "", "3",
        "hits"]  # fmt: skip


def test_the_dense_file_of_the_reference_has_the_same_jets(tmp_path):
    shard = make_synthetic_shard(4, LAYERS)
    write_dense(shard, tmp_path / "dense.parquet")
    rows = RowGroups(tmp_path / "dense.parquet")
    jets = InMemoryDataset(SparseJets.of(shard, CPU))
    (batch,) = dense(jets, jets.in_order())
    assert len(rows) == 4
    for jet in range(4):
        image, position, target = rows[jet]
        assert torch.equal(image, torch.where(batch.image[jet].abs() < 1e-5, 0, batch.image[jet]))
        assert torch.allclose(position, batch.position[jet]) and torch.allclose(target, batch.target[jet])


def test_the_cost_of_a_network_is_that_of_its_convolutions():
    network = torch.nn.Conv2d(2, 3, 5, padding=2)
    network.forward = lambda image, position, plain=network.forward: plain(image)
    # One convolution, which is the first: no gradient of its input.
    cost = model_cost(network, 2, 10, CPU)
    assert cost == (2 * 200 + 2 * 300, 2 * 2 * 300 * 2 * 25)
    assert model_cost(ResNetBody(3), 3, 125, CPU).operations == pytest.approx(0.8e9, rel=0.1)
    assert roofline_rate(cost, Limits(4e6, 6e7), torch.float32) == (1000, 1000)


@pytest.mark.slow
def test_the_table_of_the_training_has_each_method(tmp_path):
    torch.set_num_threads(1)
    text = benchmark_training(16, 8, CPU, tmp_path, steps=1, rounds=1)
    table = pd.read_csv(tmp_path / "table.csv")
    assert len(table) == 7 and (table["jets/s"] > 0).all() and table["ratio to (a)"][0] == 1
    assert "(c) parts of a step" in text and (tmp_path / "table.md").read_text(encoding="utf-8") == text


def test_the_table_of_the_inference_has_each_runtime(tmp_path):
    text = benchmark_inference(3, [1, 2], ["kinematics"], tmp_path)
    table = pd.read_csv(tmp_path / "table.csv")
    assert len(table) == 6 and (table[["jets/s", "one jet, ms"]] > 0).all(axis=None)
    assert text.count("| kinematics |") == 6
