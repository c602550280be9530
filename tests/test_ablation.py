"""Jets with something taken from them, and what a network loses by it."""

import numpy as np
import pandas as pd
import pytest

from ablation import measure_ablation
from benchmarks.synthetic import make_synthetic_shard
from perturbations import drop_layer, flip_jets, jet_index_of_values, shuffle_pixels
from topmass.files import BadInput
from topmass.layers import ETA, LAYERS, PHI
from topmass.preprocessing.shards import Shard
from training_runs import run

NAMES = tuple(layer.name for layer in LAYERS)
SETTINGS = {"min_mass": 85, "bootstrap": {"resamples": 100, "level": 0.68, "seed": 1}}


@pytest.fixture(scope="module")
def jets() -> Shard:
    """Some jets, the second of which is empty."""
    first, empty, others = (
        make_synthetic_shard(1, NAMES),
        make_synthetic_shard(1, NAMES, 2).without_values(),
        make_synthetic_shard(40, NAMES, 3),
    )
    shard = Shard.join([first, empty, others])
    shard.arrays["ieta"] = np.rint(shard.arrays["ieta"]) - 85
    return shard


def values_of(shard: Shard, columns: tuple[str, ...]) -> list[tuple]:
    """What each value of each jet and layer is, in an order that does not depend on theirs."""
    return sorted(zip(jet_index_of_values(shard), *(shard.arrays[name] for name in ("layer", *columns)), strict=True))


def same(first: Shard, second: Shard) -> bool:
    return np.array_equal(first.offset, second.offset) and all(
        np.array_equal(first.arrays[name], second.arrays[name], equal_nan=True) for name in first.arrays
    )


@pytest.mark.parametrize("flips", [ETA, PHI, ETA | PHI])
def test_two_mirrors_are_none_and_one_is_not(flips, jets):
    once = flip_jets(jets, flips)
    assert not same(once, jets) and same(flip_jets(once, flips), jets)
    assert np.array_equal(once.arrays["ieta"], -1 - jets.arrays["ieta"] if flips & ETA else jets.arrays["ieta"])


def test_the_mirrors_in_eta_and_in_phi_make_that_in_both(jets):
    assert same(flip_jets(flip_jets(jets, ETA), PHI), flip_jets(jets, ETA | PHI))


def test_a_shuffled_jet_has_the_same_values_in_each_layer_and_no_cell_twice(jets, tmp_path):
    found = shuffle_pixels(jets, np.random.default_rng(1))
    assert values_of(found, ("value",)) == values_of(jets, ("value",))
    places = values_of(found, ("pixel",))
    assert len(set(places)) == len(places) and places != values_of(jets, ("pixel",))
    # A reader checks that all cells exist.
    found.save(tmp_path / "shuffled.npz")
    assert same(Shard.load(tmp_path / "shuffled.npz", jets.meta), found)


def test_the_shuffle_depends_on_the_seed_alone(jets):
    first, again, other = (shuffle_pixels(jets, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert same(first, again) and not same(first, other)


def test_shuffled_values_lie_anywhere_in_the_window():
    """A full layer stays full, and of one with a single value every cell has its chance."""
    hcal = NAMES.index("hcal")
    shard = make_synthetic_shard(2000, NAMES)
    one_each = np.unique(np.stack([jet_index_of_values(shard), shard.arrays["layer"]]), axis=1, return_index=True)[1]
    only = one_each[shard.arrays["layer"][one_each] == hcal]
    jet = jet_index_of_values(shard)[only]
    arrays = shard.arrays | {name: shard.arrays[name][only] for name in ("pixel", "layer", "value")}
    alone = Shard(np.searchsorted(jet, np.arange(2001)), arrays, shard.meta)
    row, column = np.divmod(shuffle_pixels(alone, np.random.default_rng(1)).arrays["pixel"], 25)
    for place in (row, column):
        counts = np.bincount(place, minlength=25)
        assert len(counts) == 25 and ((counts - len(only) / 25) ** 2 / (len(only) / 25)).sum() < 60
    every = np.arange(625)
    arrays = {"pixel": every.astype("u2"), "layer": np.full(625, hcal, "u1"), "value": np.ones(625, "f2")}
    full = Shard(np.array([0, 625]), shard.take(np.arange(1)).arrays | arrays, shard.meta)
    assert np.array_equal(np.sort(shuffle_pixels(full, np.random.default_rng(1)).arrays["pixel"]), every)


@pytest.mark.parametrize("layer", NAMES)
def test_a_layer_that_is_switched_off_is_empty_and_all_others_stay(layer, jets):
    found = drop_layer(jets, layer)
    kept = [value for value in values_of(jets, ("pixel", "value")) if value[1] != NAMES.index(layer)]
    assert values_of(found, ("pixel", "value")) == kept and len(found) == len(jets)


@pytest.fixture
def trained(dataset, tmp_path):
    """A model and the folder of its shards."""
    return run(dataset, tmp_path, network={"name": "kinematics", "width": 16, "depth": 1})[0], tmp_path


def test_the_same_seed_makes_the_same_table(trained, tmp_path):
    texts = [measure_ablation(*trained, seed, SETTINGS, 1, tmp_path / f"{i}") for i, seed in enumerate((1, 1, 2))]
    assert texts[0] == texts[1] == (tmp_path / "0/ablation.md").read_text(encoding="utf-8")
    tables = [pd.read_csv(tmp_path / f"{i}/ablation.csv", index_col="jets") for i in range(3)]
    assert tables[0].equals(tables[1])
    differing = (tables[0]["mae"] != tables[2]["mae"]).groupby(level=0).any()
    assert set(differing[differing].index) == {"shuffled within each layer", "trees fitted to shuffled jets"}


def test_the_table_has_a_row_for_each_change_and_its_paired_difference(trained, tmp_path):
    text = measure_ablation(*trained, 1, SETTINGS, 1, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/ablation.csv", index_col="jets")
    assert len(table) == 5 + len(LAYERS) + 2 == len(text.splitlines()) - 4
    assert table["lost"].tolist() == pytest.approx((table["mae"] - table["mae"]["as they are"]).tolist(), abs=1e-3)
    assert table.loc["as they are", ["lost", "lost_low", "lost_high"]].tolist() == [0, 0, 0]
    for metric in ("mae", "mre"):
        assert (table[f"{metric}_low"] < table[metric]).all() and (table[metric] < table[f"{metric}_high"]).all()


def test_a_folder_without_the_splits_is_refused(trained, tmp_path):
    with pytest.raises(BadInput, match=r"nothing/train: no shards; SHARDS is a folder with train, validation, test"):
        measure_ablation(trained[0], tmp_path / "nothing", 1, SETTINGS, 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_jets_of_another_dataset_are_refused(trained, tmp_path):
    make_synthetic_shard(9, NAMES).save(tmp_path / "test" / "0.npz")
    with pytest.raises(BadInput, match=r"test/0\.npz: a shard of other scales"):
        measure_ablation(*trained, 1, SETTINGS, 1, tmp_path / "out")
