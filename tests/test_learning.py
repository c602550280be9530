"""Networks, models, and the stages `train` and `predict`."""

import numpy as np
import pandas as pd
import pytest
import torch

from predict_test import predict_test
from topmass.evaluation.predictions import Predictions
from topmass.files import BadInput
from topmass.layers import SIDE
from topmass.models.resnet15 import ResNetBody
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import MASS_SCALE, Shard
from training_runs import RECIPE, run


def test_resnet15_is_the_network_of_the_reference():
    network = ResNetBody(3)
    assert sum(weights.numel() for weights in network.parameters()) == 86_243
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len([each for each in convolutions if each.kernel_size != (1, 1)]) == 15 and all(
        each.bias is not None for each in convolutions
    )
    sizes = []
    for module in (network.stem, network.blocks[0], network.blocks[6]):
        module.register_forward_hook(lambda module, given, output: sizes.append(tuple(output.shape[1:])))
    assert network(torch.zeros(2, 3, SIDE, SIDE), torch.zeros(2, 2)).shape == (2, 1)
    assert sizes == [(16, 121, 121), (16, 60, 60), (32, 30, 30)]


def test_the_position_enters_the_prediction_linearly():
    network = ResNetBody(1).eval()
    image = torch.rand(1, 1, SIDE, SIDE)
    weights = network.head.weight[0, -2:].detach()
    moved = network(image, torch.tensor([[0.5, 0.25]])) - network(image, torch.zeros(1, 2))
    assert moved.item() == pytest.approx(float(0.5 * weights[0] + 0.25 * weights[1]), abs=1e-6)


def test_pooling_adds_up_squares_of_pixels():
    network = ResNetBody(2, downsample=2)
    seen = []
    network.stem.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    image = torch.rand(1, 2, SIDE, SIDE)
    network(image, torch.zeros(1, 2))
    assert seen[0].shape == (1, 2, 63, 63) and float(seen[0].sum()) == pytest.approx(float(image.sum()), rel=1e-4)
    assert float(seen[0][0, 1, 2, 3]) == pytest.approx(float(image[0, 1, 4:6, 6:8].sum()))


def test_same_seed_same_weights_and_another_seed_others(dataset, tmp_path):
    (first, _, _), (again, _, _), (other, _, _) = (
        run(dataset, tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()


@pytest.mark.parametrize("seed", [20240615123456, 2**64 - 1])
def test_any_seed_of_64_bits_trains(seed, dataset, tmp_path):
    best, _, _ = run(dataset, tmp_path, seed=seed)
    assert best.exists()


def test_the_history_tells_each_epoch_and_the_best_weights_are_those_of_the_best(dataset, tmp_path):
    best, last, history = run(dataset, tmp_path, recipe=RECIPE | {"epochs": 3, "learning_rate": 0.05})
    rows = pd.read_csv(history)
    assert rows["epoch"].tolist() == [1, 2, 3] and (rows["learning_rate"].diff()[1:] <= 0).all()
    assert rows["mae"].to_numpy() == pytest.approx(rows["validation_loss"] * MASS_SCALE)
    predict_test(best, dataset[1]["validation"], tmp_path / "p.parquet", "cpu", "float32", 1)
    predicted = Predictions.load(tmp_path / "p.parquet")
    assert np.abs(predicted.predicted - predicted.mass).mean() == pytest.approx(rows["mae"].min(), rel=1e-5)
    if rows["mae"].idxmin() == 2:
        assert best.read_bytes() == last.read_bytes()


@pytest.fixture
def learnable(dataset):
    """The mass is written into the images: the sum of a layer is proportional to it."""
    for paths in dataset[1].values():
        for path in paths:
            shard = Shard.load(path)
            row = np.repeat(np.arange(len(shard)), np.diff(shard.offset))
            shard.arrays["value"][:] = shard.arrays["mass"][row] / 500
            shard.save(path)
    return dataset


def test_training_learns_what_can_be_learnt(learnable, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    _, _, history = run(learnable, tmp_path, recipe=RECIPE | {"epochs": 4, "batch_size": 16, "learning_rate": 3e-3})
    assert pd.read_csv(history)["mae"].min() < 60  # the best constant has 104
    assert "nothing learnt" not in caplog.text


def test_a_training_that_has_learnt_nothing_says_so_at_its_end(learnable, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    _, _, history = run(learnable, tmp_path, recipe=RECIPE | {"epochs": 4, "batch_size": 16, "learning_rate": 0.1})
    mass = np.concatenate([Shard.load(path).arrays["mass"] for path in learnable[1]["validation"]])
    guess, best = np.sort(mass)[(len(mass) - 1) // 2], pd.read_csv(history)["mae"].min()
    constant = np.abs(mass - guess).mean()
    assert best > constant
    assert (
        f"nothing learnt: the best validation MAE is {best:.2f} GeV, and guessing {guess:.1f} GeV for every "
        f"jet has {constant:.2f} GeV; try a learning rate below 0.1, or more epochs"
    ) in caplog.messages


def test_a_loss_that_is_not_a_number_ends_the_training_and_leaves_nothing(dataset, tmp_path):
    with pytest.raises(BadInput, match=r"epoch 1: the loss is not finite"):
        run(dataset, tmp_path, recipe=RECIPE | {"learning_rate": 1e30})
    assert not list(tmp_path.glob("*.safetensors")) and not (tmp_path / "history.csv").exists()


def test_a_model_survives_the_round_trip(dataset, tmp_path):
    best, _, _ = run(dataset, tmp_path)
    model = TrainedModel.load(best)
    model.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == best.read_bytes()
    assert model.shards == Shard.load(dataset[1]["test"][0]).meta


def test_predictions_keep_the_order_and_the_columns_of_the_shards(dataset, tmp_path):
    best, _, _ = run(dataset, tmp_path)
    predict_test(best, dataset[1]["test"], tmp_path / "p.parquet", "cpu", "float32", 1)
    predictions = Predictions.load(tmp_path / "p.parquet")
    for name in ("event", "mass", "pt", "jet_mass", "softdrop_mass"):
        expected = np.concatenate([Shard.load(path).arrays[name] for path in dataset[1]["test"]])
        assert np.array_equal(getattr(predictions, name), expected)


def test_predictions_are_made_and_written_shard_by_shard(dataset, tmp_path, monkeypatch):
    best, _, _ = run(dataset, tmp_path)
    written, load = [], Shard.load

    def watched(path, expected=None):
        part = next(tmp_path.glob(".p.parquet*.part"))
        written.append(part.stat().st_size)
        return load(path, expected)

    monkeypatch.setattr(Shard, "load", watched)
    predict_test(best, dataset[1]["test"], tmp_path / "p.parquet", "cpu", "float32", 1)
    assert len(written) == 3 and written[0] < written[1] < written[2]


def test_a_model_is_not_applied_to_other_shards(dataset, tables, tmp_path):
    from make_shards import make_shards

    best, _, _ = run(dataset, tmp_path)
    other = {split: tmp_path / f"other_{split}.npz" for split in dataset[1]}
    make_shards(tables[0], dataset[0], other, 0.3, "log")
    with pytest.raises(BadInput, match=r"other_test\.npz: a shard of other zero_suppression: 0.3 instead of 1e-05"):
        predict_test(best, [other["test"]], tmp_path / "p.parquet", "cpu", "float32", 1)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_model_is_refused(content, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match=r"m\.safetensors: not a model of topmass"):
        TrainedModel.load(tmp_path / "m.safetensors")


def test_a_truncated_model_is_refused(dataset, tmp_path):
    best, _, _ = run(dataset, tmp_path)
    best.write_bytes(best.read_bytes()[:-10])
    with pytest.raises(BadInput, match="not a model of topmass"):
        TrainedModel.load(best)


def test_bfloat16_predicts_what_float32_does_to_its_precision(dataset, tmp_path):
    best, _, _ = run(dataset, tmp_path)
    for precision in ("float32", "bfloat16"):
        predict_test(best, dataset[1]["test"], tmp_path / precision, "cpu", precision, 1)
    exact, rough = (Predictions.load(tmp_path / precision).predicted for precision in ("float32", "bfloat16"))
    assert not np.array_equal(exact, rough) and np.abs(exact - rough).max() < 0.02 * np.abs(exact).max()
