"""The training loop and its state."""

import time

import numpy as np
import pytest
import torch

from topmass.data.batches import SparseJets
from topmass.data.datasets import InMemoryDataset
from topmass.files import BadInput
from topmass.models.resnet15 import ResNet15
from topmass.preprocessing.shards import Shard
from topmass.training import trainer as training_loop
from topmass.training.recipe import Recipe
from topmass.training.signals import TrainingInterrupted
from topmass.training.state import TrainState, ValidationRecord
from topmass.training.trainer import Trainer
from training_runs import CPU, RECIPE


def make_trainer(dataset, tmp_path, recipe=RECIPE, change=lambda shard: None, **settings) -> Trainer:
    """A trainer of the first training shard, which is its own validation."""
    shard = Shard.load(dataset[1]["train"][0])
    change(shard)
    source = InMemoryDataset(SparseJets.of(shard, CPU))
    torch.manual_seed(1)
    state = TrainState(ResNet15(shard.meta, 1, downsample=8), Recipe(**recipe), fused=False)
    return Trainer(state, source, source, 1, torch.float32, tmp_path / "bad.txt", **settings)


def test_a_plateau_halves_the_learning_rate_of_the_state(dataset, tmp_path):
    trainer = make_trainer(dataset, tmp_path, RECIPE | {"plateau_patience": 1})
    rates = []
    for loss in (0.5, 0.4, 0.4, 0.39999, 0.4, 0.3):
        trainer.state.record_validation(ValidationRecord(0.5, 1, 1, loss, 1, 1, 1, 1, 1))
        rates.append(trainer.state.learning_rate)
    assert rates == [1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 5e-4]


def test_the_history_tells_time_and_rate_of_the_epoch_itself(dataset, tmp_path, monkeypatch):
    trainer = make_trainer(dataset, tmp_path, RECIPE | {"epochs": 3, "schedule": "cosine", "warmup_epochs": 1})
    validate = trainer.validate
    monkeypatch.setattr(trainer, "validate", lambda: time.sleep(3) or validate())
    rows = list(trainer.epochs())
    assert all(row.seconds < 3 for row in rows)
    assert [row.learning_rate for row in rows] == [
        trainer.recipe.cosine_lr(i * trainer.steps, trainer.steps) for i in range(3)
    ]


def test_what_is_restored_lies_in_memory_as_the_weights_do(dataset, tmp_path):
    """Else fused optimisers refuse it on a GPU."""
    trainers = [make_trainer(dataset, tmp_path, RECIPE | {"ema_decay": 0.5}) for _ in "ab"]
    for trainer in trainers:
        trainer.state.network.to(memory_format=torch.channels_last)
    trainers[0].training_step(next(trainers[0].train_batches(0)))
    old, new = (trainer.state for trainer in trainers)
    new.restore(old.tensor_state(), old.scalar_state())
    for parameter, average in zip(new.parameters, new.ema, strict=True):
        moments = [each for each in new.optimizer.state[parameter].values() if each.dim()]
        assert len(moments) == 2 and all(each.stride() == parameter.stride() for each in [average, *moments])
    assert any(not each.is_contiguous() for each in new.parameters)


def test_the_average_of_the_weights_is_validated_and_kept(dataset, tmp_path):
    trainer = make_trainer(dataset, tmp_path, RECIPE | {"ema_decay": 0.5})
    first = [each.detach().clone() for each in trainer.state.parameters]
    trainer.training_step(next(trainer.train_batches(0)))
    for average, before, now in zip(trainer.state.ema, first, trainer.state.parameters, strict=True):
        assert torch.allclose(average, (before + now) / 2, atol=1e-7)
    kept = trainer.state.weights()
    names = [name for name, _ in trainer.state.network.named_parameters()]
    assert all(torch.equal(kept[name], each) for name, each in zip(names, trainer.state.ema, strict=True))
    assert not torch.equal(kept[names[0]], trainer.state.parameters[0])


def test_a_weight_of_two_counts_as_two_jets_and_of_zero_as_none(dataset, tmp_path):
    def weigh(shard):
        shard.arrays["weight"] = np.resize(np.float32([0, 1, 2]), len(shard))

    trainer = make_trainer(dataset, tmp_path, RECIPE | {"batch_size": 1000}, weigh)
    batch = next(trainer.train_batches(0)).on(CPU, trainer.jets.meta)
    each = (trainer.state.network(batch)[:, 0] - batch.target).abs().detach()
    repeated = each.repeat_interleave(batch.weight.long())
    loss, mae, _ = trainer.validate()
    trainer.training_step(next(trainer.train_batches(0)))
    assert trainer.mean_loss() == pytest.approx(float(repeated.mean()), rel=1e-5)
    assert loss == mae == pytest.approx(float(repeated.mean()), rel=1e-5)


def test_a_jet_that_spoils_the_loss_is_named_and_its_batch_saved(dataset, tmp_path, monkeypatch):
    def spoil(shard):
        shard.arrays["mass"][5] = np.inf

    # As on a GPU, where it is seen some steps later.
    monkeypatch.setitem(training_loop.CHECK_EVERY, "cpu", 50)
    trainer = make_trainer(dataset, tmp_path, RECIPE | {"batch_size": 16}, spoil)
    with pytest.raises(BadInput, match=r"epoch 1: the loss is not finite at step \d+, jets of the events .*all \d+ in"):
        list(trainer.epochs())
    saved = np.loadtxt(tmp_path / "bad.txt")
    assert len(saved) <= 16 and Shard.load(dataset[1]["train"][0]).arrays["event"][5] in saved


def test_a_signal_during_the_validation_keeps_the_epoch(dataset, tmp_path):
    saved = []
    trainer = make_trainer(dataset, tmp_path)
    trainer.write_checkpoint = lambda: saved.append((trainer.state.epoch, trainer.state.step))
    validate = trainer.validate

    def signalled():
        trainer.interrupt.on_signal(15, None)
        return validate()

    trainer.validate = signalled
    with pytest.raises(TrainingInterrupted):
        list(trainer.epochs())
    assert saved == [(1, trainer.steps)]
