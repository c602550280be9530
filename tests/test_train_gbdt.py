"""The stage `train_gbdt` on made-up jets whose mass is written into their images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic import make_synthetic_shard
from topmass.evaluation.predictions import TRUTH_COLUMNS, Predictions
from topmass.features.feature_table import build_feature_table
from topmass.files import BadInput, file_digest
from topmass.preprocessing.shards import Shard
from topmass.training.gbdt import GBDTBaseline
from train_gbdt import KINDS, train_gbdt

JETS = {"train": (700, 600), "validation": (300,), "test": (200, 0, 150)}
LAYERS = ("track_pt", "ecal", "hcal")


def write_jets(folder: Path, change=lambda shard: None, **meta) -> tuple[dict, Path]:
    """Shards by split, after this change of each, and statistics. The energy in the ECAL is the jet's mass."""
    statistics = folder / "statistics.json"
    statistics.write_text("{}")
    shards, seed = {}, 0
    for split, sizes in JETS.items():
        shards[split] = [folder / split / f"{part}.npz" for part in range(len(sizes))]
        for path, jets in zip(shards[split], sizes, strict=True):
            seed += 1
            shard = make_synthetic_shard(max(jets, 1), LAYERS, seed).take(np.arange(jets))
            shard.arrays["event"] += 10_000 * seed
            jet, ecal = np.repeat(np.arange(jets), np.diff(shard.offset)), shard.arrays["layer"] == 1
            energy = np.bincount(jet[ecal], shard.arrays["value"][ecal], jets)
            share = shard.arrays["value"][ecal] / energy[jet[ecal]]
            shard.arrays["value"][ecal] = share * shard.arrays["mass"][jet[ecal]] / 500
            changes = {"statistics": file_digest(statistics), "scales": (1.0, 500.0, 1.0)} | meta
            shard.meta = replace(shard.meta, **changes)
            change(shard)
            shard.save(path)
    return shards, statistics


def fit(
    folder: Path, shards: dict, statistics: Path, threads: int = 1, kinds: tuple = ("trees_image", "trees_jet")
) -> dict[str, Predictions]:
    paths = {name: folder / f"{name}.parquet" for name in kinds}
    models = {name: path.with_suffix(".txt") for name, path in paths.items()}
    train_gbdt(shards, statistics, paths, models, threads)
    return {name: Predictions.load(path) for name, path in paths.items()}


def error(predictions: Predictions) -> float:
    return float(np.abs(predictions.predicted - predictions.mass).mean())


def test_trees_find_what_is_written_into_the_image_and_those_without_it_do_not(tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    shards, statistics = write_jets(tmp_path)
    found = fit(tmp_path, shards, statistics)
    assert error(found["trees_image"]) < 10 and error(found["trees_jet"]) > 80
    assert "trees_image: 39 features of 1,300 jets, " in caplog.text
    assert "without track_dz_hits, track_d0_hits, bpix1_hits, bpix2_hits, bpix3_hits, which" in caplog.text
    test = Shard.join([Shard.load(path) for path in shards["test"]])
    for predictions in found.values():
        for name in TRUTH_COLUMNS:
            assert np.array_equal(getattr(predictions, name), test.arrays[name], equal_nan=True)


def test_the_same_jets_give_the_same_bytes_with_any_number_of_threads_and_other_kinds_of_trees(tmp_path):
    given, found = write_jets(tmp_path), []
    for number, (threads, kinds) in enumerate([(1, KINDS), (3, KINDS), (1, ("trees_image", "trees_jet"))]):
        folder = tmp_path / str(number)
        fit(folder, *given, threads, kinds)
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert len(found[0]) == 6 and found[0] == found[1]
    assert len(found[2]) == 4 and found[2].items() < found[0].items()


def test_a_saved_gbdt_predicts_the_same_and_another_file_is_refused(tmp_path):
    shards, statistics = write_jets(tmp_path)
    found = fit(tmp_path, shards, statistics)
    table = build_feature_table(map(Shard.load, shards["test"]), with_subjets=False)
    for name, predictions in found.items():
        saved = GBDTBaseline.load(tmp_path / f"{name}.txt", 1)
        assert np.array_equal(saved.predict(table), predictions.predicted)
    for text in ("tree", saved.booster.model_to_string().replace("softdrop_mass", "mass_softdrop")):
        (tmp_path / "other.txt").write_text(text)
        with pytest.raises(BadInput, match=r"other\.txt: not a GBDT on jet features"):
            GBDTBaseline.load(tmp_path / "other.txt", 1)


def hide(shard: Shard) -> None:
    """Leave a jet three crystals, far apart in places of chance: the second hardest has the GeV of the jet's mass."""
    jets, rng = len(shard), np.random.default_rng(int(shard.arrays["event"][:1].sum()))
    rows, columns = rng.permuted(np.tile([20, 62, 104], (2, jets, 1)), axis=2) + rng.integers(-9, 10, (2, jets, 3))
    energy = np.stack([rng.uniform(1000, 3000, jets), shard.arrays["mass"], rng.uniform(0, 80, jets)], axis=1)
    hits = {"pixel": rows * 125 + columns, "layer": np.ones((jets, 3)), "value": energy / 3000}
    hits = {name: each.ravel().astype(shard.arrays[name].dtype) for name, each in hits.items()}
    # At one η, pT is energy.
    shard.offset, shard.arrays = 3 * np.arange(jets + 1), shard.arrays | hits | {"ieta": np.zeros(jets, "f4")}


def test_trees_on_subjets_find_what_is_in_one_of_them_and_no_sum_tells(tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    found = fit(tmp_path, *write_jets(tmp_path, hide, scales=(1.0, 3000.0, 1.0)), kinds=KINDS)
    assert error(found["trees_subjets"]) < 5 and error(found["trees_image"]) > 15
    assert "trees_subjets: 298 features of 1,300 jets, " in caplog.text


def test_trees_go_without_a_number_that_no_jet_has_and_say_so(tmp_path, caplog):
    caplog.set_level("INFO", "topmass")

    def forget(shard: Shard) -> None:
        shard.arrays["jet_mass"][:] = np.nan
        # Known of some jets, a number is used.
        shard.arrays["softdrop_mass"][::2] = np.nan

    found = fit(tmp_path, *write_jets(tmp_path, forget))
    assert error(found["trees_image"]) < 10 and np.isnan(found["trees_image"].jet_mass).all()
    assert "trees_jet: 4 features" in caplog.text
    assert "trees_jet: without jet_mass, which" in caplog.text


def test_trees_do_without_a_position(tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    given = write_jets(tmp_path, lambda shard: shard.arrays["ieta"].fill(np.nan), position=False)
    assert error(fit(tmp_path, *given)["trees_image"]) < 10
    assert "trees_jet: without eta, abs_eta, which" in caplog.text
    assert "trees_image: without cells_mass_0.2, " in caplog.text


def test_jets_teach_by_their_weights(tmp_path):
    def mislead(shard: Shard) -> None:
        wrong = slice(0, 2 * len(shard) // 3)
        shard.arrays["mass"][wrong], shard.arrays["weight"][wrong] = 100, 1e-6

    right, _ = write_jets(tmp_path)
    (tmp_path / "misled").mkdir()
    misled, statistics = write_jets(tmp_path / "misled", mislead)
    assert error(fit(tmp_path, misled | {"test": right["test"]}, statistics)["trees_image"]) < 20


@pytest.mark.parametrize("split", JETS)
def test_a_split_without_a_jet_is_refused(split, tmp_path):
    shards, statistics = write_jets(tmp_path)
    for path in shards[split]:
        Shard.load(path).take(np.arange(0)).save(path)
    with pytest.raises(BadInput, match=f"{split}: no jet in any shard"):
        fit(tmp_path, shards, statistics)
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"statistics": "others"}, r"0\.npz: a shard of other statistics: others instead of"),
        ({"compression": "log"}, r"0\.npz: a shard of other compression: log instead of none"),
    ],
)
def test_shards_of_another_dataset_are_refused(change, message, tmp_path):
    shards, statistics = write_jets(tmp_path)
    other = Shard.load(shards["test"][0])
    other.meta = replace(other.meta, **change)
    other.save(shards["test"][0])
    with pytest.raises(BadInput, match=message):
        fit(tmp_path, shards, statistics)
