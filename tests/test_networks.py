"""What holds for every network, and for the numbers that are kept for it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from own_network import write_example
from predict_test import predict_test
from test_kinematics import ROUGH, made_up, rough
from topmass.data.augmentation import IETA_STEP, apply_flips
from topmass.data.batches import SparseBatch, SparseJets
from topmass.evaluation.predictions import Predictions
from topmass.layers import ETA, PHI
from topmass.models.network import Head, Network
from topmass.models.trained_model import TrainedModel, build_network
from topmass.preprocessing.shards import Shard
from topmass.training.trainer import Trainer
from training_runs import CPU, RECIPE, RESNET15, find, run

SMALL = {
    "resnet15": RESNET15,
    "kinematics": {"name": "kinematics", "width": 8, "depth": 2},
    "transformer": {"name": "transformer", "towers": 8, "width": 4, "heads": 2, "num_layers": 1},
    "prongs": {"name": "prongs", "particles": 16, "prongs": 3, "width": 8, "num_layers": 2},
    "prongs without pile-up": {
        "name": "prongs",
        "particles": 16,
        "prongs": 3,
        "width": 8,
        "num_layers": 2,
        "vertex_dz": 0.1,
    },
}
"""One of each, with few operations."""


@pytest.fixture(params=[*SMALL, "module"])
def settings(request, tmp_path) -> dict:
    return write_example(tmp_path) if request.param == "module" else SMALL[request.param]


def batch_of(shard: Shard, jets: list[int] | None = None) -> SparseBatch:
    index = torch.arange(len(shard)) if jets is None else torch.tensor(jets, dtype=torch.int64)
    all_jets = SparseJets.of(shard, CPU)
    return all_jets.gather(index, int((all_jets.first[index + 1] - all_jets.first[index]).sum()))


def network_for(settings: dict, shard: Shard, outputs: int = 1) -> Network:
    """Fresh, but for weights that let each output depend on what comes before it."""
    torch.manual_seed(1)
    network = build_network(settings, shard.meta, outputs).eval()
    network.fit_input_norm(batch_of(shard))
    heads = [module for module in network.modules() if isinstance(module, Head)]
    torch.nn.init.normal_(heads[-1].weight)
    return network


def test_a_jet_has_the_same_mass_in_any_order_of_its_hits_and_in_any_batch(settings):
    shard = made_up()
    network = network_for(settings, shard)
    with torch.no_grad():
        expected = network(batch_of(shard))
        alone = torch.cat([network(batch_of(shard, [jet])) for jet in range(len(shard))])
        rng = np.random.default_rng(1)
        order = np.concatenate([rng.permutation(np.arange(*ends)) for ends in pairwise(shard.offset)])
        arrays = shard.arrays | {name: shard.arrays[name][order] for name in ("pixel", "layer", "value")}
        mixed = network(batch_of(Shard(shard.offset, arrays, shard.meta)))
    assert expected.shape == (len(shard), 1) and expected.std() > 1e-4
    assert torch.allclose(alone, expected, atol=1e-4) and torch.allclose(mixed, expected, atol=1e-4)


@pytest.mark.parametrize("hits", [0, 1, 2])
def test_a_jet_of_hardly_a_hit_has_a_mass_and_gradients(hits, settings):
    shard = made_up().take(np.arange(3))
    counts = np.array([hits, hits, 50])
    kept = np.concatenate([np.arange(first, first + count) for first, count in zip(shard.offset, counts, strict=False)])
    arrays = shard.arrays | {name: shard.arrays[name][kept] for name in ("pixel", "layer", "value")}
    few = Shard(np.concatenate([[0], np.cumsum(counts)]), arrays, shard.meta)
    network = network_for(settings, made_up())
    masses = network(batch_of(few))
    masses.sum().backward()
    assert masses.isfinite().all()
    assert all(weights.grad.isfinite().all() for weights in network.parameters())


@pytest.mark.parametrize("kind", ROUGH)
def test_values_of_any_sign_and_size_have_a_mass(kind, settings):
    shard = rough(kind)
    with torch.no_grad():
        masses = network_for(settings, made_up(scales=shard.meta.scales))(batch_of(shard))
    assert masses.isfinite().all()


def test_the_share_of_a_process_may_have_no_jet(settings):
    shard = made_up()
    masses = network_for(settings, shard)(batch_of(shard, []))
    masses.sum().backward()
    assert masses.shape == (0, 1)


class NothingToWaitFor(TorchDispatchMode):
    """Refuses what a GPU and its host wait for each other in: numbers of Python, and numbers that decide a shape."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name not in ("lift_fresh", "_local_scalar_dense", "nonzero"), f"a GPU would wait in {name}"
        return function(*args, **(kwargs or {}))


def test_no_gpu_would_wait_in_the_body_of_a_network(settings):
    network, refusing = network_for(settings, made_up()), NothingToWaitFor()
    network.backbone.register_forward_pre_hook(lambda *_: refusing.__enter__() and None)
    network.backbone.register_forward_hook(lambda *_: refusing.__exit__(None, None, None))
    masses = network(batch_of(made_up()))
    with refusing:
        masses.sum().backward()


@pytest.mark.parametrize("outputs", [1, 3])
def test_outputs_rise_whatever_the_weights(outputs, settings):
    shard = made_up()
    with torch.no_grad():
        found = network_for(settings, shard, outputs)(batch_of(shard))
    assert found.shape == (len(shard), outputs) and (found.diff(dim=1) >= 0).all()


def test_what_is_kept_of_jets_is_what_is_seen_in_them(dataset, settings):
    files = find(dataset)
    network = network_for(settings, Shard.load(files.paths[0]))
    kept, whole = replace(files, spec=network).read([0, 1], CPU), files.read([0, 1], CPU)
    jets = torch.tensor([0, 7, len(kept) - 1])
    with torch.no_grad():
        found, expected = (
            network(each.gather(jets, int((each.first[jets + 1] - each.first[jets]).sum()))) for each in (kept, whole)
        )
    assert torch.allclose(found, expected, atol=1e-6)
    assert kept.features.shape == (len(kept), network.num_features) and (len(kept.value) > 0) == network.needs_hits


@pytest.mark.parametrize("flip", [ETA, PHI, ETA | PHI])
def test_features_that_are_kept_are_mirrored_as_the_jets_are(flip, settings):
    shard = made_up()
    network, jets, flips = network_for(settings, shard), batch_of(shard), torch.full((len(shard),), flip).byte()
    kept = jets._replace(features=network.compute_features(jets))
    mirrored = apply_flips(kept, flips, shard.meta, network.feature_parity).features
    expected = network.compute_features(apply_flips(jets, flips, shard.meta))
    # A mirrored `ieta` is one pixel further; particles of equal pT may change places.
    close = torch.isclose(mirrored, expected, rtol=1e-3, atol=1e-3 + IETA_STEP)
    assert close.float().mean() > 0.998 or not close.numel()
    assert network.num_features == 0 or not torch.allclose(kept.features, expected, rtol=1e-2, atol=1e-2)


def test_a_training_that_is_broken_off_ends_with_the_same_weights(dataset, tmp_path, settings, monkeypatch):
    optimizer = "muon" if settings["name"] == "prongs" else "adam"
    recipe = RECIPE | {"val_interval_jets": 100, "quantiles": [0.16, 0.5, 0.84], "optimizer": optimizer}
    whole = run(dataset, tmp_path / "whole", network=settings, recipe=recipe)
    one_step, steps = Trainer.training_step, iter(range(1000))

    def broken(trainer, cut):
        if next(steps) in (2, 5, 11):
            raise KeyboardInterrupt
        one_step(trainer, cut)

    monkeypatch.setattr(Trainer, "training_step", broken)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(dataset, tmp_path / "broken", network=settings, recipe=recipe)
    broken_off = run(dataset, tmp_path / "broken", network=settings, recipe=recipe)
    assert [path.read_bytes() for path in whole[:2]] == [path.read_bytes() for path in broken_off[:2]]
    histories = [pd.read_csv(paths[2]).drop(columns=["seconds", "jets_per_second"]) for paths in (whole, broken_off)]
    assert histories[0].equals(histories[1])


def test_a_validation_comes_after_so_many_jets(dataset, tmp_path):
    jets = int(find(dataset).jets.sum())
    _, _, history = run(
        dataset, tmp_path, network=SMALL["kinematics"], recipe=RECIPE | {"val_interval_jets": jets // 3}
    )
    rows = pd.read_csv(history)
    assert len(rows) == 6 and rows["jets"].iloc[[2, 5]].tolist() == [jets, 2 * jets]
    assert rows["epoch"].iloc[[2, 5]].tolist() == [1, 2] and (rows["epoch"].diff()[1:] > 0.2).all()
    assert (rows["jets"].diff()[1:] - jets / 3).abs().max() <= RECIPE["batch_size"]


def test_the_number_of_validations_does_not_change_the_training(dataset, tmp_path):
    recipe = RECIPE | {"schedule": "cosine"}
    _, once, _ = run(dataset, tmp_path / "a", network=SMALL["kinematics"], recipe=recipe)
    _, often, _ = run(dataset, tmp_path / "b", network=SMALL["kinematics"], recipe=recipe | {"val_interval_jets": 50})
    assert once.read_bytes() == often.read_bytes()


def test_numbers_are_standardised_by_the_jets_of_the_training(dataset, tmp_path):
    best, _, _ = run(dataset, tmp_path, network=SMALL["kinematics"])
    network = TrainedModel.load(best).network
    standard = network.input_norm
    seen = replace(find(dataset), spec=network).read([0, 1, 2], CPU).features
    assert torch.allclose(standard.mean, seen.mean(0), atol=1e-4)
    assert torch.allclose(standard.std, seen.std(0, correction=0) + 1e-3, atol=1e-4)


def test_a_network_that_keeps_numbers_is_mirrored_all_the_same(dataset, tmp_path):
    best, _, _ = run(dataset, tmp_path, network=SMALL["kinematics"], recipe=RECIPE | {"augment_flips": ["eta"]})
    predict_test(best, dataset[1]["test"], tmp_path / "p.parquet", "cpu", "float32", 1)
    assert np.isfinite(Predictions.load(tmp_path / "p.parquet").predicted).all()
