"""Model files."""

from pathlib import Path

import pytest

from benchmarks.synthetic import make_synthetic_shard
from topmass.files import BadInput
from topmass.models.safetensors_io import read_tensors, to_bytes
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.distribution import summarize_shard


@pytest.fixture
def model(tmp_path) -> Path:
    """An untrained model with everything that a training stores."""
    shard = make_synthetic_shard(20, ("ecal", "hcal"))
    model = TrainedModel.new({"name": "kinematics", "width": 8}, shard.meta, (0.16, 0.5, 0.84))
    model.conformal_scale, model.training = 1.25, summarize_shard(shard)
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_model_survives_the_round_trip(model, tmp_path):
    loaded = TrainedModel.load(model)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == model.read_bytes()
    assert loaded.conformal_scale == 1.25 and loaded.quantiles == (0.16, 0.5, 0.84)
    assert loaded.shards == make_synthetic_shard(1, ("ecal", "hcal")).meta


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_model_is_refused(content, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match=r"m\.safetensors: not a model of topmass"):
        TrainedModel.load(tmp_path / "m.safetensors")


def test_a_truncated_model_is_refused(model):
    model.write_bytes(model.read_bytes()[:-10])
    with pytest.raises(BadInput, match="not a model of topmass"):
        TrainedModel.load(model)


def test_a_model_of_another_version_is_refused(model):
    weights, text = read_tensors(model)
    model.write_bytes(to_bytes(weights, text.replace('"version": 4', '"version": 3')))
    with pytest.raises(BadInput, match=r"model\.safetensors: a model of version 3, this code reads 4"):
        TrainedModel.load(model)
