"""The stage `predict_test`."""

from pathlib import Path

import numpy as np
import pytest
import torch

from make_shards import make_shards
from predict_test import predict_test
from topmass.evaluation.predictions import Predictions
from topmass.files import BadInput
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import Shard
from training_runs import RESNET15


@pytest.fixture
def model(dataset, tmp_path) -> Path:
    """An untrained model for these shards."""
    torch.manual_seed(1)
    TrainedModel.new(RESNET15, Shard.load(dataset[1]["test"][0]).meta).save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_predictions_keep_the_order_and_the_columns_of_the_shards(model, dataset, tmp_path):
    predict_test(model, dataset[1]["test"], tmp_path / "p.parquet", "cpu", "float32", 1)
    predictions = Predictions.load(tmp_path / "p.parquet")
    for name in ("event", "mass", "pt", "jet_mass", "softdrop_mass"):
        expected = np.concatenate([Shard.load(path).arrays[name] for path in dataset[1]["test"]])
        assert np.array_equal(getattr(predictions, name), expected)


def test_predictions_are_made_and_written_shard_by_shard(model, dataset, tmp_path, monkeypatch):
    sizes, load = [], Shard.load

    def watched(path, expected=None):
        part = next(tmp_path.glob(".p.parquet*.part"))
        sizes.append(part.stat().st_size)
        return load(path, expected)

    monkeypatch.setattr(Shard, "load", watched)
    predict_test(model, dataset[1]["test"], tmp_path / "p.parquet", "cpu", "float32", 1)
    assert len(sizes) == 3 and sizes[0] < sizes[1] < sizes[2]


def test_a_model_is_not_applied_to_other_shards(model, dataset, tables, tmp_path):
    other = {split: tmp_path / f"other_{split}.npz" for split in dataset[1]}
    make_shards(tables[0], dataset[0], other, 0.3, "log")
    with pytest.raises(BadInput, match=r"other_test\.npz: a shard of other zero_suppression: 0.3 instead of 1e-05"):
        predict_test(model, [other["test"]], tmp_path / "p.parquet", "cpu", "float32", 1)


def test_a_split_without_a_jet_is_refused(model, dataset, tmp_path):
    for path in dataset[1]["test"]:
        Shard.load(path).take(np.arange(0)).save(path)
    with pytest.raises(BadInput, match="test: no jet in any shard"):
        predict_test(model, dataset[1]["test"], tmp_path / "p.parquet", "cpu", "float32", 1)
    assert not (tmp_path / "p.parquet").exists()


def test_bfloat16_predicts_what_float32_does_to_its_precision(model, dataset, tmp_path):
    for precision in ("float32", "bfloat16"):
        predict_test(model, dataset[1]["test"], tmp_path / precision, "cpu", precision, 1)
    exact, rough = (Predictions.load(tmp_path / precision).predicted for precision in ("float32", "bfloat16"))
    assert not np.array_equal(exact, rough) and np.abs(exact - rough).max() < 0.02 * np.abs(exact).max()
