"""The benchmark of the training and its parts."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark_training import Settings, benchmark_training, profile
from topmass.benchmark.reference import RowGroups, write_dense
from topmass.benchmark.roofline import Limits, model_cost, roofline_rate
from topmass.benchmark.synthetic import VALUES, make_synthetic_shard
from topmass.data.batches import SparseJets
from topmass.data.datasets import InMemoryDataset
from topmass.files import BadInput
from topmass.models.resnet15 import ResNetBody
from topmass.preprocessing.shards import Shard
from training_runs import CPU, dense

LAYERS = ("track_pt", "ecal", "hcal")


def test_made_up_jets_are_as_full_as_simulated_ones(tmp_path):
    shard = make_synthetic_shard(500, LAYERS)
    shard.save(tmp_path / "0.npz")
    assert len(Shard.load(tmp_path / "0.npz")) == 500
    counts = np.bincount(shard.arrays["layer"]) / 500
    for count, layer in zip(counts, LAYERS, strict=True):
        assert 0.75 * VALUES[layer] < count <= 1.02 * VALUES[layer]


def test_the_dense_table_of_the_reference_has_the_same_jets(tmp_path):
    source = InMemoryDataset(SparseJets.of(make_synthetic_shard(5, LAYERS), CPU))
    write_dense(source, 4, tmp_path / "dense.parquet")
    rows = RowGroups(tmp_path / "dense.parquet")
    (batch,) = dense(source, source.in_order())
    assert len(rows) == 4
    for jet in range(4):
        image, position, target = rows[jet]
        assert torch.equal(image, torch.where(batch.image[jet].abs() < 1e-5, 0, batch.image[jet]))
        assert torch.allclose(position, batch.position[jet]) and torch.allclose(target, batch.target[jet])


def test_the_work_of_a_network_is_counted_from_its_convolutions():
    network = torch.nn.Conv2d(2, 3, 5, padding=2)
    network.forward = lambda image, position, plain=network.forward: plain(image)
    # One convolution, which is the first: no gradient of its input.
    work = model_cost(network, 2, 10, CPU)
    assert work == (2 * 200 + 2 * 300, 2 * 2 * 300 * 2 * 25)
    assert model_cost(ResNetBody(3), 3, 125, CPU).operations == pytest.approx(0.8e9, rel=0.1)
    assert roofline_rate(work, Limits(4e6, 6e7), torch.float32) == (1000, 1000)


@pytest.mark.slow
def test_the_benchmark_writes_table_and_figure(tmp_path):
    torch.set_num_threads(1)
    text = benchmark_training(None, tmp_path, Settings(40, 8, 1, 2, "cpu", 1, False))
    table = pd.read_csv(tmp_path / "training.csv")
    assert len(table) == 5 and (table["jets_per_second"] > 0).all() and table["to_reference"][0] == 1
    assert "(c) parts of a step" in text and (tmp_path / "training.md").read_text() == text
    assert (tmp_path / "chart.png").stat().st_size > 10_000
    with pytest.raises(BadInput, match="--batch 50: there are only 40 jets"):
        benchmark_training(None, tmp_path, Settings(40, 50, 1, 1, "cpu", 1, False))


def test_the_first_entries_of_a_profile_are_the_networks(tmp_path):
    torch.set_num_threads(1)
    text = profile(None, 24, 8, "cpu", torch.float32, tmp_path)
    first = [line.split()[0] for line in text.splitlines()[3:6]]
    assert {"aten::convolution_backward", "aten::mkldnn_convolution"} <= set(first)
    # No gathering, no scattering.
    assert not {"aten::index", "aten::_index_put_impl_", "aten::copy_"} & set(first)
