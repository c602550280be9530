"""Trainings from shards to weights, history and messages."""

import json
import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from predict_test import predict_test
from topmass.evaluation.predictions import Predictions
from topmass.files import BadInput
from topmass.models.resnet15 import ResNet15
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.distribution import summarize_shard
from topmass.preprocessing.shards import MASS_SCALE, Shard
from topmass.training import run as training_run
from training_runs import COMPUTE, RECIPE, find, run, start, start_by


def test_a_model_carries_how_the_jets_of_its_training_are_distributed(dataset, tmp_path, monkeypatch):
    paths = run(dataset, tmp_path / "all")
    shards = [Shard.load(path) for path in dataset[1]["train"]]
    whole = summarize_shard(Shard.join(shards)).dump()
    for path in paths[:2]:
        assert TrainedModel.load(path).training.dump() == json.loads(json.dumps(whole))
    rows = {row[0]: row for row in json.loads((tmp_path / "all/training.json").read_text())["distributions"]}
    assert rows.keys() >= {"ecal (GeV)", "et (GeV)", "pt (GeV)", "mass (GeV)", "ieta (crystals)"}
    monkeypatch.setattr(training_run, "SUMMARY_SAMPLE_SIZE", 50)
    some, again = (TrainedModel.load(run(dataset, tmp_path / name)[0]) for name in ("some", "again"))
    assert 50 <= some.training.jets < 60 and some.training.dump() == again.training.dump()


def test_each_choice_of_a_recipe_trains_and_changes_the_weights(dataset, tmp_path):
    changes = [
        {},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "muon"},
        {"schedule": "cosine", "warmup_epochs": 0.5},
        {"loss": "huber", "huber_delta": 10},
        {"ema_decay": 0.9},
        {"gradient_clip_norm": 0.01},
        {"augment_flips": ["eta"]},
    ]
    weights = set()
    for number, change in enumerate(changes):
        _, last, history = run(dataset, tmp_path / str(number), recipe=RECIPE | change)
        weights.add(last.read_bytes())
        assert np.isfinite(pd.read_csv(history).to_numpy()).all()
    assert len(weights) == len(changes)


def test_training_stops_early_without_progress(dataset, tmp_path):
    # Nothing is learnt at this rate.
    *_, history = run(dataset, tmp_path, recipe=RECIPE | {"epochs": 9, "learning_rate": 1e-12, "early_stopping": 2})
    rows = pd.read_csv(history)
    assert 3 <= len(rows) < 9 and len(rows) - 1 - rows["mae"].idxmin() == 2


def test_too_little_memory_names_the_batch_and_suggests_one(dataset, tmp_path, monkeypatch):
    def full(network, batch):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(ResNet15, "forward", full)
    with pytest.raises(BadInput, match=r"^out of memory with recipe\.batch_size 32: try 16$"):
        run(dataset, tmp_path)


NAMELESS = "setpriv --reuid 54321 --clear-groups --inh-caps +dac_override --ambient-caps +dac_override"
"""Starts a process whose user has no name, but may read this house."""


@pytest.mark.lab
def test_the_compiled_network_trains_to_the_same_even_for_a_user_without_a_name(dataset, tmp_path):
    # All jets in one batch: there is one shape to compile for.
    recipe = RECIPE | {"batch_size": 1000}
    environment = {"TMPDIR": str(tmp_path), "HOME": "/nonexistent", "USER": "", "LOGNAME": ""}
    process = start_by(
        NAMELESS.split(), dataset, tmp_path / "b", environment, recipe=recipe, compute=COMPUTE | {"compile": True}
    )
    run(dataset, tmp_path / "a", recipe=recipe)
    assert process.wait() == 0
    rows = [pd.read_csv(tmp_path / name / "history.csv")[["loss", "mae", "mre"]].to_numpy() for name in "ab"]
    assert rows[0] == pytest.approx(rows[1], rel=1e-3)


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"PATH": "/nonexistent"}, r"InvalidCxxCompiler: No working C\+\+ compiler found"),
        ({"TORCHINDUCTOR_CACHE_DIR": "/proc"}, "FileNotFoundError: .*/proc/"),
    ],
    ids=["no compiler", "no cache"],
)
def test_what_torch_cannot_compile_is_one_line_before_anything_is_trained(environment, why, dataset, tmp_path):
    process = start(dataset, tmp_path / "run", environment, compute=COMPUTE | {"compile": True})
    process.join()
    output = (tmp_path / "run/output").read_text()
    assert re.search(f"BadInput: torch.compile failed \\({why}.*; it needs a C", output)
    assert "or disable it with compute.compile: false" in output and "epoch" not in output
    assert not list(tmp_path.rglob("*.safetensors"))


def test_it_says_what_it_trains_and_how_it_goes(dataset, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    run(dataset, tmp_path)
    assert "resnet15, downsample 8, 90,163 parameters, on cpu (1 threads) in float32: " in caplog.text
    assert "placement device (auto): " in caplog.text
    assert "epoch 2/2, " in caplog.text and " jets/s, 0.0 min left" in caplog.text


def test_event_files_are_written_when_asked_for(dataset, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    *_, history = run(dataset, tmp_path, compute=COMPUTE | {"tensorboard": True})
    events = accumulator.EventAccumulator(str(tmp_path / "events")).Reload()
    assert [each.step for each in events.Scalars("mae")] == pd.read_csv(history)["jets"].tolist()
    assert [each.value for each in events.Scalars("mae")] == pytest.approx(pd.read_csv(history)["mae"], rel=1e-6)


def test_without_tensorboard_the_setting_is_refused(dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BadInput, match=r"compute\.tensorboard: the package tensorboard is not installed"):
        run(dataset, tmp_path, compute=COMPUTE | {"tensorboard": True})


def test_shards_larger_than_the_memory_that_they_may_take_are_trained_on_in_windows(dataset, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    statistics, shards = dataset
    many = [tmp_path / f"many/{number:02d}.npz" for number in range(30)]
    for number, path in enumerate(many):
        Shard.load(shards["train"][number % 3]).save(path)
    splits = {"train": many, "validation": shards["validation"]}
    files = find((statistics, splits))
    memory = 12 * files.bytes.max() / 1e9
    assert files.bytes.sum() > 2 * memory * 1e9
    run((statistics, splits), tmp_path, compute=COMPUTE | {"memory": float(memory), "checkpoint_minutes": 1e9})
    assert "placement disk (auto)" in caplog.text and "are shuffled one by one" in caplog.text
    assert f": {files.jets.sum():,} jets, " in caplog.text


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
