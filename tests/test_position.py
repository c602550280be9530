"""Files that do not say where in the detector their jets are, from the file to the prediction."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from compute_statistics import compute_statistics
from conftest import FLATTEN, SPLIT, make_jets
from convert import convert
from make_shards import make_shards
from predict_test import predict_test
from topmass.data.datasets import InMemoryDataset
from topmass.evaluation.predictions import Predictions
from topmass.files import BadInput
from topmass.jets import JetTable, write_jets
from topmass.layers import LAYERS
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import Shard
from training_runs import CPU, RECIPE, dense, find, run

NAMES = [layer.name for layer in LAYERS]


def write_file(path, jets, names=("event", "mass", "pt")):
    lists = {
        name: pa.ListArray.from_arrays(jets.offset.astype("i4"), getattr(jets, name))
        for name in ("pixel", "layer", "value")
    }
    pq.write_table(pa.table(lists | {name: getattr(jets, name) for name in names}), path)


def read_all(path):
    (batch,) = JetTable(path).batches()
    return batch


@pytest.fixture
def without(tmp_path):
    """As `dataset`, of the same jets in files that do not say where they are."""
    home = tmp_path / "without"
    home.mkdir()
    tables, statistics = [home / f"{part}.parquet" for part in range(3)], home / "statistics.json"
    for part, table in enumerate(tables):
        write_file(home / "file.parquet", make_jets(200, part, 1000 * part))
        convert(home / "file.parquet", table, part, layers=NAMES, position="none")
    compute_statistics(tables, statistics, "made_up", SPLIT, NAMES, {}, 0.99, FLATTEN)
    shards = {split: [home / split / f"{part}.npz" for part in range(3)] for split in SPLIT}
    for part, table in enumerate(tables):
        make_shards(table, statistics, {split: paths[part] for split, paths in shards.items()}, 1e-5, "none")
    return statistics, shards


def test_a_file_without_a_position_is_refused_with_both_ways_on_and_taken_by_the_second(tmp_path):
    jets = make_jets(5)
    write_file(tmp_path / "file.parquet", jets)
    told = r"as ieta; name it with samples\.mine\.columns, or set samples\.mine\.position to none: pixel, "
    with pytest.raises(BadInput, match=told):
        convert(tmp_path / "file.parquet", tmp_path / "jets.parquet", layers=NAMES, sample="mine")
    convert(tmp_path / "file.parquet", tmp_path / "jets.parquet", layers=NAMES, position="none")
    found = read_all(tmp_path / "jets.parquet")
    assert np.isnan(found.ieta).all() and np.isnan(found.iphi).all() and np.array_equal(found.mass, jets.mass)
    stored = pq.read_table(tmp_path / "jets.parquet")
    assert stored["ieta"].type == pa.int16() and stored["ieta"].null_count == stored["iphi"].null_count == 5


def test_a_position_that_is_there_is_not_taken_where_there_is_to_be_none(tmp_path):
    write_file(tmp_path / "file.parquet", make_jets(5), ("mass", "pt", "ieta", "iphi"))
    convert(tmp_path / "file.parquet", tmp_path / "jets.parquet", layers=NAMES, position="none")
    assert np.isnan(read_all(tmp_path / "jets.parquet").ieta).all()
    with pytest.raises(BadInput, match=r"samples\.NAME\.position is none, and samples\.NAME\.columns names ieta: "):
        convert(
            tmp_path / "file.parquet", tmp_path / "jets.parquet", layers=NAMES, columns={"ieta": "pt"}, position="none"
        )


def test_tables_of_before_have_a_position(tmp_path):
    write_jets(tmp_path / "jets.parquet", [make_jets(5)], LAYERS, {})
    table = JetTable(tmp_path / "jets.parquet")
    # What tables say is what they have said from the first.
    assert table.position and set(table.about) == {"version", "side", "layers", "source"}
    assert not table.file.schema_arrow.field("ieta").nullable


def test_a_jet_twice_is_found_without_a_position_too(tmp_path):
    jets = make_jets(6)
    write_file(tmp_path / "file.parquet", jets.take(np.array([0, 1, 2, 3, 4, 5, 2])))
    convert(tmp_path / "file.parquet", tmp_path / "jets.parquet", layers=NAMES, position="none")
    with pytest.raises(BadInput, match=r"row 6: the same jet as row 2"):
        compute_statistics([tmp_path / "jets.parquet"], tmp_path / "s.json", "made_up", SPLIT, NAMES, {}, 0.99, FLATTEN)


def test_shards_with_and_without_a_position_are_not_mixed(dataset, without):
    with_position = Shard.load(dataset[1]["train"][0])
    assert with_position.meta.position and not Shard.load(without[1]["train"][0]).meta.position
    with_position.save(without[1]["train"][0])
    with pytest.raises(BadInput, match=r"a shard of other position: (True|False) instead of (True|False)"):
        find(without).read(range(3), CPU)


def test_a_batch_without_a_position_is_the_same_but_for_it_and_is_flipped(without, dataset):
    sources = []
    for each in (dataset, without):
        files = find(each)
        sources.append(InMemoryDataset(files.read(range(3), CPU), ["eta", "phi"]))
    known, unknown = (dense(source, source.shuffled(1, 1), 1000)[0] for source in sources)
    assert torch.equal(known.image, unknown.image) and torch.equal(known.target, unknown.target)
    assert known.position.shape == (len(known.target), 2) and unknown.position.shape == (len(known.target), 0)


def test_a_network_without_a_position_trains_predicts_and_says_so(without, tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    best, _, _ = run(without, tmp_path, recipe=RECIPE | {"augment_flips": ["eta"]})
    assert "resnet15, downsample 8, 90,161 parameters" in caplog.text and "bpix3, without position" in caplog.text
    assert b'\\"position\\": false' in best.read_bytes() and not TrainedModel.load(best).shards.position
    predict_test(best, without[1]["test"], tmp_path / "p.parquet", "cpu", "float32", 1)
    assert np.isfinite(Predictions.load(tmp_path / "p.parquet").predicted).all()
