"""A network with an auxiliary target next to the same network without one."""

import re

import numpy as np
import pytest
import torch

from auxiliary import TwoHeads, compare, split_jets, train
from benchmarks.synthetic import make_synthetic_shard
from topmass.files import BadInput
from topmass.models.trained_model import TrainedModel
from topmass.training.recipe import Recipe

NETWORK = {"name": "prongs", "particles": 8, "prongs": 2, "width": 8, "num_layers": 1}
RECIPE = Recipe(
    epochs=4, batch_size=32, learning_rate=2e-3, optimizer="muon", schedule="cosine", gradient_clip_norm=1,
    quantiles=(0.16, 0.5, 0.84),
)  # fmt: skip
BOOTSTRAP = {"resamples": 50, "level": 0.68, "seed": 1}


@pytest.fixture
def shards(tmp_path):
    """Jets whose quarks are in the window if their mass is small, and some without quarks."""
    for seed, (split, jets) in enumerate({"train": 600, "test": 200}.items()):
        shard = make_synthetic_shard(jets, ("track_pt", "track_dz", "track_d0", "ecal", "hcal"), seed)
        # The energy in the calorimeter follows the mass.
        mass = np.repeat(shard.arrays["mass"], np.diff(shard.offset))
        shard.arrays["value"] = (shard.arrays["value"] * (mass / 250) ** 2).astype("f2")
        shard.arrays["quarks_in_window"] = np.where(shard.arrays["mass"] < 290, 3, 1).astype("f4")
        shard.arrays["quarks_in_window"][::5] = np.nan
        (tmp_path / split).mkdir()
        shard.save(tmp_path / split / "0.npz")
    return tmp_path


def test_without_weight_nothing_changes(shards, tmp_path):
    table = compare(NETWORK, RECIPE, shards, 0, [1], BOOTSTRAP, tmp_path / "out")
    assert table == (tmp_path / "out/auxiliary.md").read_text() and table.endswith("| 0.00 [0.00, 0.00] |\n")


def test_with_weight_the_masses_change_and_the_same_seed_gives_the_same(shards, tmp_path):
    first, again = (compare(NETWORK, RECIPE, shards, 0.1, [2], BOOTSTRAP, tmp_path / "out") for _ in range(2))
    assert first == again and not first.endswith("| 0.00 [0.00, 0.00] |\n")
    plain, both, difference = (float(cell) for cell in re.findall(r"\| (-?[\d.]+) \[", first))
    assert difference == pytest.approx(both - plain, abs=0.011)


def test_the_label_is_learned(shards):
    torch.manual_seed(1)
    meta = make_synthetic_shard(1, ("track_pt", "track_dz", "track_d0", "ecal", "hcal")).meta
    model = TrainedModel.new(NETWORK, meta, RECIPE.quantiles)
    model.network.backbone.head[-1] = TwoHeads(model.network.backbone.head[-1])
    jets, label = split_jets(shards / "train", model)
    assert label.isnan().sum() == 120
    train(model, RECIPE, jets, label, 1, 0.5)
    with torch.no_grad():
        predicted = model.network(jets.gather(torch.arange(len(jets)), 0))[:, 3] > 0
    known = ~label.isnan()
    assert (predicted[known] == label[known].bool()).float().mean() > 0.75


def test_a_dataset_without_shards_is_refused(tmp_path):
    with pytest.raises(BadInput, match="nothing/train: no shards; to fix: train a network"):
        compare(NETWORK, RECIPE, tmp_path / "nothing", 0.1, [1], BOOTSTRAP, tmp_path / "out")
