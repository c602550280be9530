"""Recipes, weights of jets, precision, health, and what a training shows."""

import json
import math
import re
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch.optim import Muon

from topmass.data.batches import SparseJets
from topmass.data.datasets import InMemoryDataset
from topmass.device import find_device, find_precision
from topmass.files import BadInput
from topmass.models.resnet15 import ResNet15
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.distribution import summarize_shard
from topmass.preprocessing.shards import Shard
from topmass.training import run as job
from topmass.training import trainer as loop
from topmass.training.muon import FastMuon
from topmass.training.recipe import Recipe
from topmass.training.signals import TrainingInterrupted
from topmass.training.state import TrainState, ValidationRecord
from topmass.training.trainer import Trainer
from training_runs import COMPUTE, CPU, RECIPE, find, run, start, start_by

MASSES = torch.tensor([0.2, 0.5, 0.9])


def test_a_model_carries_how_the_jets_of_its_training_are_distributed(dataset, tmp_path, monkeypatch):
    paths = run(dataset, tmp_path / "all")
    shards = [Shard.load(path) for path in dataset[1]["train"]]
    whole = summarize_shard(Shard.join(shards)).dump()
    for path in paths[:2]:
        assert TrainedModel.load(path).training.dump() == json.loads(json.dumps(whole))
    rows = {row[0]: row for row in json.loads((tmp_path / "all/training.json").read_text())["distributions"]}
    assert rows.keys() >= {"ecal (GeV)", "et (GeV)", "pt (GeV)", "mass (GeV)", "ieta (crystals)"}
    monkeypatch.setattr(job, "SUMMARY_SAMPLE_SIZE", 50)
    some, again = (TrainedModel.load(run(dataset, tmp_path / name)[0]) for name in ("some", "again"))
    assert 50 <= some.training.jets < 60 and some.training.dump() == again.training.dump()


def test_losses_are_what_their_names_say():
    predicted = MASSES + torch.tensor([0.1, -0.01, 0.0])
    error = (predicted - MASSES).abs()

    def loss(name, **more):
        return Recipe(1, 1, 1.0, loss=name, **more).loss_per_jet(predicted[:, None], MASSES)

    assert torch.equal(loss("mae"), error)
    assert torch.allclose(loss("relative"), error / MASSES)
    assert torch.allclose(loss("log_cosh"), 0.05 * torch.log(torch.cosh(error / 0.05)), atol=1e-7)
    # Below 25 GeV, 0.05, half the square; above it linear.
    assert torch.allclose(loss("huber", huber_delta=25), torch.tensor([0.05 * (0.1 - 0.025), 0.5e-4, 0]), atol=1e-7)
    assert torch.allclose(loss("log"), (predicted / MASSES).log().abs(), atol=1e-7)
    far = Recipe(1, 1, 1.0, loss="log_cosh").loss_per_jet(torch.tensor([[1e4]]), torch.tensor([0.0]))
    assert far.item() == pytest.approx(1e4 - 0.05 * math.log(2))


def test_the_loss_of_the_logarithm_is_finite_and_points_to_the_mass_from_any_output():
    predicted = torch.tensor([[-3.0], [0.0], [0.05], [0.0999], [0.1001], [0.19], [0.21], [5.0]], requires_grad=True)
    losses = Recipe(1, 1, 1.0, loss="log").loss_per_jet(predicted, torch.full((8,), 0.2))
    losses.sum().backward()
    slope = predicted.grad[:, 0]
    assert torch.isfinite(losses).all() and (slope[:6] < 0).all() and (slope[6:] > 0).all()
    # Where the tangent begins, at 50 GeV, neither the loss nor its slope jumps.
    assert losses[3].item() == pytest.approx(losses[4].item(), abs=0.01)
    assert slope[3].item() == pytest.approx(slope[4].item(), rel=0.01) and slope[0] == slope[2]


def test_a_tilted_loss_is_the_absolute_error_but_for_the_side_that_the_middle_is_on():
    def loss(predicted, target, asymmetry=0.4):
        outputs = torch.tensor([[predicted / 500]])
        return (
            Recipe(1, 1, 1.0, loss="asymmetric_mae", asymmetry=asymmetry)
            .loss_per_jet(outputs, torch.tensor([target / 500]))
            .item()
        )

    assert loss(450, 500) == pytest.approx(1.4 * 0.1) and loss(550, 500) == pytest.approx(0.6 * 0.1)
    assert loss(135, 85) == pytest.approx(1.4 * 0.1) and loss(35, 85) == pytest.approx(0.6 * 0.1)
    assert [loss(242.5, 292.5), loss(342.5, 292.5), loss(450, 500, asymmetry=0)] == pytest.approx(3 * [0.1])
    # No mass is so far away that an error would be a gain.
    assert loss(5000, 1000, asymmetry=0.99) > 0


def test_what_a_tilted_loss_says_of_jets_that_do_not_show_their_mass_is_farther_from_the_middle():
    """Of jets of any mass the middle; of heavy ones more than their median, and of light ones less."""
    recipe, outputs = Recipe(1, 1, 1.0, loss="asymmetric_mae"), torch.linspace(0, 1, 501)

    def best(masses):
        mean = torch.stack([recipe.loss_per_jet(each.expand(len(masses), 1), masses).mean() for each in outputs])
        return 500 * float(outputs[mean.argmin()])

    assert best(torch.linspace(85, 500, 401) / 500) == pytest.approx(292.5, abs=1)
    assert best(torch.linspace(300, 500, 401) / 500) > 410 and best(torch.linspace(85, 285, 401) / 500) < 175


def test_a_plateau_halves_the_learning_rate_of_the_state(dataset, tmp_path):
    trainer = make_trainer(dataset, tmp_path, RECIPE | {"plateau_patience": 1})
    rates = []
    for loss in (0.5, 0.4, 0.4, 0.39999, 0.4, 0.3):
        trainer.state.record_validation(ValidationRecord(0.5, 1, 1, loss, 1, 1, 1, 1, 1))
        rates.append(trainer.state.learning_rate)
    assert rates == [1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 5e-4]


def test_a_cosine_rises_and_falls_to_zero():
    recipe = Recipe(10, 1, 0.1, schedule="cosine", warmup_epochs=2)
    rates = [recipe.cosine_lr(step, 10) for step in range(100)]
    assert rates[0] == pytest.approx(0.1 / 20) and max(rates) == rates[19] == pytest.approx(0.1)
    assert rates[60] == pytest.approx(0.05) and 0 < rates[-1] < 1e-4
    assert np.all(np.diff(rates[:20]) > 0) and np.all(np.diff(rates[20:]) < 0)
    assert Recipe(1, 1, 0.1, schedule="cosine", warmup_epochs=0).cosine_lr(0, 10) == 0.1


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "muon"},
        {"schedule": "cosine", "warmup_epochs": 0.5},
        {"loss": "huber", "huber_delta": 10},
        {"ema_decay": 0.9},
        {"gradient_clip_norm": 0.01},
        {"augment_flips": ["eta"]},
    ],
    ids=lambda change: str(next(iter(change.items()))),
)
def test_each_choice_of_a_recipe_trains_and_changes_the_weights(change, dataset, tmp_path):
    plain, other = (run(dataset, tmp_path / name, recipe=RECIPE | extra) for name, extra in (("a", {}), ("b", change)))
    assert plain[1].read_bytes() != other[1].read_bytes()
    assert np.isfinite(pd.read_csv(other[2]).to_numpy()).all()


def test_muon_makes_the_steps_of_matrices_orthogonal_and_is_adamw_for_all_else():
    rng = torch.Generator().manual_seed(1)
    start = [torch.randn(*shape, generator=rng) for shape in ((24, 64), (24, 8), (64,))]
    # One direction of the matrix has nearly all of the gradient.
    gradients = [each.clone() for each in start]
    gradients[0] += 0.5 * torch.outer(start[0][:, 0], start[0][0])

    def stepped(optimizer: str) -> list[torch.Tensor]:
        parameters = [torch.nn.Parameter(each.clone()) for each in start]
        made = Recipe(1, 1, 0.01, optimizer=optimizer, weight_decay=0.1).make_optimizer(parameters, fused=False)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        made.step()
        return [each.detach() for each in parameters]

    muon, adamw = stepped("muon"), stepped("adamw")
    assert torch.equal(muon[1], adamw[1]) and torch.equal(muon[2], adamw[2])
    sizes = torch.linalg.svdvals(muon[0] - start[0] * (1 - 0.01 * 0.1)) / (0.01 * 0.2 * 64**0.5)
    assert sizes.min() > 0.4 and sizes.max() < 1.3
    whole = torch.linalg.svdvals(gradients[0])
    assert whole.max() > 5 * whole.min()


def test_in_bfloat16_the_steps_of_muon_are_those_of_torch(monkeypatch):
    monkeypatch.setattr("topmass.training.muon.find_precision", lambda *_: torch.bfloat16)
    rng = torch.Generator().manual_seed(1)
    start, *gradients = torch.randn(4, 48, 32, generator=rng).unbind()
    pairs = []
    for optimizer in (partial(FastMuon, weight_decay=0.1), partial(Muon, adjust_lr_fn="match_rms_adamw")):
        matrices = [torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.T.clone())]
        stepped = optimizer(matrices, 0.01)
        for gradient in gradients:
            matrices[0].grad, matrices[1].grad = gradient.clone(), gradient.T.clone()
            stepped.step()
        pairs.append(matrices)
    assert all(torch.equal(*both) for both in zip(*pairs, strict=True))


def test_training_stops_early_without_progress(dataset, tmp_path):
    # Nothing is learnt at this rate.
    *_, history = run(dataset, tmp_path, recipe=RECIPE | {"epochs": 9, "learning_rate": 1e-12, "early_stopping": 2})
    rows = pd.read_csv(history)
    assert 3 <= len(rows) < 9 and len(rows) - 1 - rows["mae"].idxmin() == 2


def make_trainer(dataset, tmp_path, recipe=RECIPE, change=lambda shard: None, **settings) -> Trainer:
    """A trainer of the first training shard, which is its own validation."""
    shard = Shard.load(dataset[1]["train"][0])
    change(shard)
    source = InMemoryDataset(SparseJets.of(shard, CPU))
    torch.manual_seed(1)
    state = TrainState(ResNet15(shard.meta, 1, downsample=8), Recipe(**recipe), fused=False)
    return Trainer(state, source, source, 1, torch.float32, tmp_path / "bad.txt", **settings)


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
    for parameter, average in zip(new.parameters, new.average, strict=True):
        moments = [each for each in new.optimizer.state[parameter].values() if each.dim()]
        assert len(moments) == 2 and all(each.stride() == parameter.stride() for each in [average, *moments])
    assert any(not each.is_contiguous() for each in new.parameters)


def test_the_average_of_the_weights_is_validated_and_kept(dataset, tmp_path):
    trainer = make_trainer(dataset, tmp_path, RECIPE | {"ema_decay": 0.5})
    first = [each.detach().clone() for each in trainer.state.parameters]
    trainer.training_step(next(trainer.train_batches(0)))
    for average, before, now in zip(trainer.state.average, first, trainer.state.parameters, strict=True):
        assert torch.allclose(average, (before + now) / 2, atol=1e-7)
    kept = trainer.state.weights()
    names = [name for name, _ in trainer.state.network.named_parameters()]
    assert all(torch.equal(kept[name], each) for name, each in zip(names, trainer.state.average, strict=True))
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
    monkeypatch.setitem(loop.CHECK_EVERY, "cpu", 50)
    trainer = make_trainer(dataset, tmp_path, RECIPE | {"batch_size": 16}, spoil)
    with pytest.raises(BadInput, match=r"epoch 1: the loss is not finite at step \d+, jets of the events .*all \d+ in"):
        list(trainer.epochs())
    saved = np.loadtxt(tmp_path / "bad.txt")
    assert len(saved) <= 16 and Shard.load(dataset[1]["train"][0]).arrays["event"][5] in saved


def test_too_little_memory_names_the_batch_and_suggests_one(dataset, tmp_path, monkeypatch):
    def full(network, batch):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(ResNet15, "forward", full)
    with pytest.raises(BadInput, match=r"^out of memory with recipe\.batch_size 32: try 16$"):
        run(dataset, tmp_path)


def test_devices_and_precisions_are_found(monkeypatch):
    assert find_device("cpu") == CPU
    assert find_precision("bfloat16", CPU) == torch.bfloat16
    for there, expected in ((True, torch.bfloat16), (False, torch.float32)):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda found=there: found)
        assert find_precision("auto", CPU) == expected
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadInput, match=r"compute\.device: cuda:1, but torch .* finds 1 GPUs here"):
        find_device("cuda:1")
    for capability, expected in (((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert find_precision("auto", torch.device("cuda")) == expected


def test_a_gpu_that_is_not_there_is_refused(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(BadInput, match=r"compute\.device: cuda, but torch .* finds 0 GPUs here; use auto or cpu"):
        run(dataset, tmp_path, compute=COMPUTE | {"device": "cuda"})


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
    said = (tmp_path / "run/said").read_text()
    assert re.search(f"BadInput: torch.compile failed \\({why}.*; it needs a C", said)
    assert "or disable it with compute.compile: false" in said and "epoch" not in said
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_folder_for_kernels_that_cannot_be_made_is_named_with_its_variable(dataset, tmp_path):
    (tmp_path / "file").touch()
    environment = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "file/kernels")}
    assert start_by(["nice"], dataset, tmp_path / "run", environment).wait() == 1
    said = (tmp_path / "run/said").read_text()
    assert f"BadInput: TORCHINDUCTOR_CACHE_DIR={tmp_path}/file/kernels: torch cannot create this folder (" in said


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
