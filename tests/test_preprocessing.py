"""The stages `measure` and `make_shards`."""

import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compute_statistics import compute_statistics
from conftest import FLATTEN, SPLIT, make_jets
from convert import convert
from make_shards import make_shards
from topmass.files import BadInput, file_digest
from topmass.io.dense_images import to_dense, to_sparse
from topmass.jets import HIT_COLUMNS, QUARKS, JetTable, concat_jets, write_jets
from topmass.layers import LAYERS
from topmass.preprocessing.duplicates import hash_contents
from topmass.preprocessing.shards import Shard, load_shards, read_jet_arrays
from topmass.preprocessing.split import SPLITS, assign_split, hash_uniform
from topmass.preprocessing.statistics import Statistics

NAMES = [layer.name for layer in LAYERS]


def all_jets(tables):
    return concat_jets([batch for table in tables for batch in JetTable(table).batches()])


def test_scales_are_quantiles_of_the_training_jets(dataset, tables):
    statistics = Statistics.load(dataset[0])
    jets = all_jets(tables)
    training = np.repeat(assign_split("made_up", jets.event, SPLIT) == 0, np.diff(jets.offset))
    for index, scale in enumerate(statistics.scales):
        values = np.abs(jets.value[training & (jets.layer == index)])
        assert scale == pytest.approx(np.quantile(values, 0.99), rel=0.03)


def test_statistics_do_not_depend_on_how_jets_are_spread_over_files(dataset, tables, tmp_path):
    together = tmp_path / "together.parquet"
    write_jets(together, [all_jets(tables)], LAYERS, {})
    compute_statistics([together], tmp_path / "again.json", "made_up", SPLIT, NAMES, {}, 0.99, FLATTEN)
    assert (tmp_path / "again.json").read_bytes() == dataset[0].read_bytes()


def test_a_given_scale_is_taken(tables, tmp_path):
    compute_statistics(tables, tmp_path / "s.json", "made_up", SPLIT, ["ecal", "hcal"], {"hcal": 7.5}, 0.99, FLATTEN)
    assert Statistics.load(tmp_path / "s.json").scales[1] == 7.5


def test_the_target_of_a_dataset_is_the_mass_of_its_shards(tables, tmp_path):
    jets = all_jets(tables)
    jets.gen_softdrop_mass = np.where(np.arange(len(jets)) % 10 == 0, np.nan, jets.mass + 1).astype("f4")
    jets.mass[:] = np.nan
    table, statistics = tmp_path / "jets.parquet", tmp_path / "s.json"
    write_jets(table, [jets], LAYERS, {})
    compute_statistics([table], statistics, "made_up", SPLIT, ["ecal"], {}, 0.99, FLATTEN, "gen_softdrop_mass")
    shards = {split: tmp_path / f"{split}.npz" for split in SPLITS}
    make_shards(table, statistics, shards, 1e-5, "log")
    masses = np.concatenate([Shard.load(path).arrays["mass"] for path in shards.values()])
    assert len(masses) > 50 and np.isin(masses, jets.gen_softdrop_mass[np.isfinite(jets.gen_softdrop_mass)]).all()
    with refused("mass is not finite"):
        compute_statistics([table], statistics, "made_up", SPLIT, ["ecal"], {}, 0.99, FLATTEN)


def test_all_jets_of_a_background_with_a_generated_jet_are_training_jets(dataset, tables, tmp_path):
    jets = all_jets(tables)
    jets.gen_softdrop_mass = np.where(np.arange(len(jets)) % 10 == 0, np.nan, np.arange(len(jets))).astype("f4")
    jets.mass[:] = np.nan
    write_jets(tmp_path / "jets.parquet", [jets], LAYERS, {})
    shards = {split: tmp_path / f"{split}.npz" for split in SPLITS}
    make_shards(tmp_path / "jets.parquet", dataset[0], shards, 1e-5, "log", is_background=True)
    found = {split: Shard.load(path).arrays for split, path in shards.items()}
    expected = jets.gen_softdrop_mass[np.isfinite(jets.gen_softdrop_mass)]
    assert np.array_equal(np.sort(found["train"]["mass"]), np.sort(expected)) and (found["train"]["weight"] == 1).all()
    assert len(found["validation"]["mass"]) == len(found["test"]["mass"]) == 0


def test_every_jet_that_is_kept_is_in_the_shard_of_its_split_and_nowhere_else(dataset, tables):
    statistics, shards = dataset
    known, jets = Statistics.load(statistics), all_jets(tables)
    kept = known.flattening.accepts(jets.mass, jets.pt, hash_uniform("made_up", "unbias", jets.event))
    split = assign_split("made_up", jets.event, SPLIT)
    for index, name in enumerate(SPLITS):
        found = np.concatenate([Shard.load(path).arrays["mass"] for path in shards[name]])
        assert sorted(found) == sorted(jets.mass[kept & (split == index)])
        assert known.kept[name]["jets"] == len(found)


def test_a_shard_keeps_how_many_quarks_a_jet_holds_and_where_that_is_unknown(dataset, tables):
    jets = all_jets(tables)
    for shard in map(Shard.load, dataset[1]["train"]):
        rows = [int(np.flatnonzero(jets.mass == mass)[0]) for mass in shard.arrays["mass"]]
        for name in QUARKS:
            assert np.array_equal(shard.arrays[name], getattr(jets, name)[rows], equal_nan=True)


def test_no_event_is_on_two_sides(dataset):
    events = [set(np.concatenate([Shard.load(path).arrays["event"] for path in dataset[1][name]])) for name in SPLITS]
    assert not (events[0] & events[1] or events[0] & events[2] or events[1] & events[2])


def test_pixels_survive_the_way_into_the_shard(dataset, tables):
    known, jets = Statistics.load(dataset[0]), all_jets(tables)
    shard = Shard.load(dataset[1]["train"][1])
    for i in range(len(shard)):
        here = slice(shard.offset[i], shard.offset[i + 1])
        row = int(np.flatnonzero(jets.mass == shard.arrays["mass"][i])[0])
        there = np.arange(jets.offset[row], jets.offset[row + 1])
        there = there[np.abs(jets.value[there]) >= 1e-5 * np.array(known.scales)[jets.layer[there]]]
        assert np.array_equal(shard.arrays["pixel"][here], jets.pixel[there])
        assert np.array_equal(shard.arrays["layer"][here], jets.layer[there])
        scaled = np.clip(jets.value[there] / np.array(known.scales)[jets.layer[there]], -1, 1)
        assert np.allclose(shard.arrays["value"][here], scaled, rtol=1e-3)


def test_layers_are_taken_in_the_order_asked_for(dataset, tables, tmp_path):
    compute_statistics(tables, tmp_path / "s.json", "made_up", SPLIT, ["hcal", "track_pt"], {}, 0.99, FLATTEN)
    paths = {split: tmp_path / f"two_{split}.npz" for split in SPLITS}
    make_shards(tables[0], tmp_path / "s.json", paths, 0, "none")
    two, eight = Shard.load(paths["train"]), Shard.load(dataset[1]["train"][0])
    assert two.meta.layers == ("hcal", "track_pt") and two.meta.cells == (5, 1)
    hcal = eight.arrays["layer"] == NAMES.index("hcal")
    assert np.array_equal(two.arrays["pixel"][two.arrays["layer"] == 0], eight.arrays["pixel"][hcal])


def test_zero_suppression_removes_small_values_of_either_sign(dataset, tables, tmp_path):
    paths = {split: tmp_path / f"hard_{split}.npz" for split in SPLITS}
    make_shards(tables[0], dataset[0], paths, 0.2, "none")
    hard, soft = Shard.load(paths["train"]), Shard.load(dataset[1]["train"][0])
    # float16 puts a value next to the threshold on either side of it.
    hard_values, soft_values = (v[np.abs(np.abs(v) - 0.2) > 1e-3] for v in (hard.arrays["value"], soft.arrays["value"]))
    assert np.array_equal(hard_values, soft_values[np.abs(soft_values) > 0.2])
    assert (hard.arrays["value"] < 0).any()


def test_same_table_same_bytes(dataset, tables, tmp_path):
    paths = {split: tmp_path / f"again_{split}.npz" for split in SPLITS}
    make_shards(tables[0], dataset[0], paths, 1e-5, "none")
    assert all(paths[split].read_bytes() == dataset[1][split][0].read_bytes() for split in SPLITS)


def test_weights_flatten_the_training_jets_and_leave_the_others_to_rejection(tables, tmp_path):
    weighted = FLATTEN | {"method": "weights"}
    compute_statistics(tables, tmp_path / "s.json", "made_up", SPLIT, ["ecal"], {}, 0.99, weighted)
    known, jets = Statistics.load(tmp_path / "s.json"), all_jets(tables)
    shards = {split: [] for split in SPLITS}
    for table in tables:
        paths = {split: tmp_path / f"{table.stem}_{split}.npz" for split in SPLITS}
        make_shards(table, tmp_path / "s.json", paths, 0, "none")
        for split in SPLITS:
            shards[split].append(Shard.load(paths[split]))
    training = Shard.join(shards["train"]).arrays
    assert len(training["mass"]) == np.sum(assign_split("made_up", jets.event, SPLIT) == 0)
    in_bins = np.histogram(training["mass"], known.flattening.mass_edges, weights=training["weight"])[0]
    assert in_bins == pytest.approx(np.full(4, len(training["mass"]) / 4), rel=1e-4)
    for split in ("validation", "test"):
        assert (Shard.join(shards[split]).arrays["weight"] == 1).all()
        assert len(Shard.join(shards[split])) == known.kept[split]["jets"]


def test_a_layer_in_coarse_cells_is_spread_out_if_another_table_has_it_by_pixels(tables, tmp_path):
    fine = [layer._replace(cell=1) if layer.name == "hcal" else layer for layer in LAYERS]
    write_jets(tables[2], [make_jets(200, 2, 2000)], fine, {})
    compute_statistics(tables, tmp_path / "s.json", "made_up", SPLIT, ["ecal", "hcal"], {}, 0.99, FLATTEN)
    assert Statistics.load(tmp_path / "s.json").cells == [1, 1]
    images = []
    for statistics, table in (("s", 0), ("coarse", 0), ("s", 2)):
        if statistics == "coarse":
            compute_statistics(tables[:2], tmp_path / "coarse.json", "made_up", SPLIT, ["ecal", "hcal"],
                    dict(zip(("ecal", "hcal"), Statistics.load(tmp_path / "s.json").scales, strict=True)),
                    0.99, FLATTEN)  # fmt: skip
        paths = {split: tmp_path / f"{split}.npz" for split in SPLITS}
        make_shards(tables[table], tmp_path / f"{statistics}.json", paths, 0, "none")
        shard = Shard.load(paths["train"])
        assert shard.meta.cells == ((1, 5) if statistics == "coarse" else (1, 1))
        images.append({event: image for event, image in zip(shard.arrays["mass"], dense(shard), strict=True)})
    common = images[0].keys() & images[1].keys()
    assert len(common) > 50 and all(np.array_equal(images[0][mass], images[1][mass]) for mass in common)


def dense(shard: Shard) -> np.ndarray:
    """Images (N, C, H, W), value by value."""
    side = shard.meta.side
    images = np.zeros((len(shard), len(shard.meta.layers), side, side), "f2")
    for jet in range(len(shard)):
        for k in range(shard.offset[jet], shard.offset[jet + 1]):
            layer, pixel, value = (shard.arrays[name][k] for name in ("layer", "pixel", "value"))
            cell = shard.meta.cells[layer]
            row, column = divmod(int(pixel), side // cell)
            images[jet, layer, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = value
    return images


def refused(message):
    return pytest.raises(BadInput, match=message)


def test_a_table_that_lacks_a_layer_is_refused(tables, tmp_path):
    write_jets(tables[0], [make_jets(50)], LAYERS[:5], {})
    with refused(r"0\.parquet: row 0: layer 5 does not exist"):
        compute_statistics(tables[:1], tmp_path / "s.json", "made_up", SPLIT, ["ecal"], {}, 0.99, FLATTEN)
    with refused(r"0\.parquet: no layer 'bpix1'; it has track_pt"):
        compute_statistics(tables[:1], tmp_path / "s.json", "made_up", SPLIT, ["bpix1"], {}, 0.99, FLATTEN)
    assert not (tmp_path / "s.json").exists()


def measured(tables, tmp_path):
    compute_statistics(tables, tmp_path / "s.json", "made_up", SPLIT, ["ecal"], {}, 0.99, FLATTEN)


def test_a_jet_that_a_table_has_twice_is_refused(tables, tmp_path):
    jets = make_jets(200)
    again = jets.take(np.append(np.arange(200), 7))
    write_jets(tables[0], [again], LAYERS, {})
    with refused(r"0\.parquet: row 200: the same jet as row 7; a sample must .*: remove one of them"):
        measured(tables, tmp_path)


def test_a_jet_that_two_tables_have_is_refused(tables, tmp_path):
    write_jets(tables[2], [make_jets(300).take(np.arange(150, 300)), make_jets(200).take(np.array([20]))], LAYERS, {})
    with refused(r"2\.parquet: row 150: the same jet as row 20 of .*0\.parquet"):
        measured(tables, tmp_path)


def test_jets_with_other_event_numbers_are_the_same_jets(tables, tmp_path):
    again = make_jets(200).take(np.arange(50, 60))
    again.event += 77_000
    write_jets(tables[2], [make_jets(40, seed=9), again], LAYERS, {})
    with refused(
        r"2\.parquet: row 40: the same jet as row 50 of .*0\.parquet; a sample must have "
        "each jet once, and has 10 repeats"
    ):
        measured(tables, tmp_path)


def test_event_numbers_that_overlap_are_no_repeated_jets(tables, tmp_path):
    write_jets(tables[2], [make_jets(200, seed=9)], LAYERS, {})
    measured(tables, tmp_path)


def given_twice(tmp_path, change, **settings) -> list:
    """Jet tables, two for each of two files, of 40 jets of which the second file has some of the first."""
    jets, tables = make_jets(40), []
    settings = {"layers": NAMES} | settings
    (tmp_path / "again").mkdir()
    for number, (file, given) in enumerate(
        ((tmp_path / "jets.parquet", jets), (tmp_path / "again/jets.parquet", change(jets)))
    ):
        write_jets(file, [given], LAYERS, {})
        known = pq.read_table(file).replace_schema_metadata()
        pq.write_table(known if settings.get("events") else known.drop_columns("event"), file)
        for part in range(2):
            tables.append(tmp_path / f"{number}{part}.parquet")
            convert(
                file, tables[-1], number, part, 2, **{name: settings[name] for name in settings if name != "events"}
            )
    return tables


def with_a_flaw(jets):
    """Half of these jets after three others, of which the last has no mass."""
    flawed = make_jets(3, seed=5)
    flawed.mass[2] = -1
    return concat_jets([flawed, jets.take(np.arange(20, 40))])


GIVEN_TWICE = {
    "the same file twice": (lambda jets: jets, {}, "row 0: .*remove row 0 of .*/again/jets.parquet, or row 0 of"),
    "in another order": (
        lambda jets: jets.take(np.arange(40)[::-1]),
        {},
        "row 19: .*remove row 39 of .*/again/jets.parquet, or row 0 of",
    ),
    "among others": (lambda jets: concat_jets([make_jets(9, seed=3), jets]), {}, "row 9: .*row 9 of .*, or row 0 of"),
    "after one that is left out": (with_a_flaw, {"on_invalid": "drop"}, "row 2: .*row 3 of .*, or row 20 of"),
    "with event numbers": (
        lambda jets: replace(jets, event=jets.event + 99),
        {"events": True},
        "row 0: .*remove event 99 of .*, or event 0 of",
    ),
    "after one that is left out, with event numbers": (
        lambda jets: with_a_flaw(replace(jets, event=jets.event + 99)),
        {"events": True, "on_invalid": "drop"},
        "row 2: .*remove event 109 of .*, or event 10 of",
    ),
}


@pytest.mark.parametrize(("change", "settings", "message"), GIVEN_TWICE.values(), ids=GIVEN_TWICE)
def test_jets_that_come_twice_are_named_by_file_and_row(change, settings, message, tmp_path):
    tables = given_twice(tmp_path, change, **settings)
    with refused(message):
        measured(tables, tmp_path)


def by_pixels(jets):
    """The same jets with the towers of `hcal` as pixels."""
    hcal = NAMES.index("hcal")
    fine = [layer._replace(cell=1) for layer in LAYERS]
    offset, sparse = to_sparse(to_dense(jets, LAYERS), fine)
    assert np.sum(sparse["layer"] == hcal) == 25 * np.sum(jets.layer == hcal)
    return replace(jets, offset=offset, **sparse), fine


def in_other_order(jets):
    order = np.concatenate([np.arange(*ends)[::-1] for ends in itertools.pairwise(jets.offset)])
    return replace(jets, **{name: getattr(jets, name)[order] for name in HIT_COLUMNS}), LAYERS


def with_zeros(jets):
    ends = jets.offset[1:]
    values = {name: np.insert(getattr(jets, name), ends, 0) for name in HIT_COLUMNS}
    return replace(jets, offset=jets.offset + np.arange(len(jets) + 1), **values), LAYERS


def with_layers_in_other_order(jets):
    return replace(jets, layer=(7 - jets.layer).astype("u1")), LAYERS[::-1]


def with_less_known(jets):
    unknown = np.full(len(jets), np.nan, "f4")
    return replace(jets, ieta=unknown, iphi=unknown, eta=unknown, jet_mass=unknown, quarks_in_jet=unknown), LAYERS


@pytest.mark.parametrize("change", [by_pixels, in_other_order, with_zeros, with_layers_in_other_order, with_less_known])
def test_a_copy_that_is_stored_in_another_way_has_the_same_content(change):
    jets = make_jets(20)
    assert np.array_equal(hash_contents(*change(jets)), hash_contents(jets, LAYERS))


def test_jets_that_differ_in_anything_have_other_contents():
    jets = make_jets(1).take(np.zeros(6, int))
    jets.value[5] = np.nextafter(jets.value[5], 1)
    jets.pixel[45] += 1
    jets.layer[85] += 1
    jets.mass[3] = np.nextafter(jets.mass[3], 1)
    jets.pt[4] = np.nextafter(jets.pt[4], 1)
    # A hit more, where the next jet has one less.
    jets.offset[6] -= 1
    assert len(set(hash_contents(jets, LAYERS).tolist())) == 6
    empty = replace(make_jets(3), offset=np.zeros(4, int), **{name: getattr(jets, name)[:0] for name in HIT_COLUMNS})
    assert len(set(hash_contents(empty, LAYERS).tolist())) == 3


OTHER_UNITS = {
    "MeV": (lambda mass: mass * 1000, "looks like MeV; expected GeV, 85 to 500; to fix: divide it by 1000"),
    "TeV": (lambda mass: mass / 1000, "looks like TeV; expected GeV, 85 to 500; to fix: multiply it by 1000"),
    "a 500th": (lambda mass: mass / 500, "looks like a number scaled to about 1, such as mass / 500; expected GeV, 85"),
    "from 0 to 1": (lambda mass: (mass - 84) / 416, "looks like a number scaled to about 1"),
}


@pytest.mark.parametrize(("change", "message"), OTHER_UNITS.values(), ids=OTHER_UNITS)
def test_masses_of_one_table_in_another_unit_are_refused_with_their_range(change, message, tables, tmp_path):
    jets = make_jets(200, 1, 1000)
    write_jets(tables[1], [replace(jets, mass=change(jets.mass))], LAYERS, {"file": "theirs.parquet"})
    with refused(f"theirs.parquet: mass ranges from .* to .*: it {message}"):
        measured(tables, tmp_path)


def test_transverse_momenta_in_another_unit_are_refused(tables, tmp_path):
    jets = make_jets(200, 1, 1000)
    write_jets(tables[1], [replace(jets, pt=jets.pt * 1000)], LAYERS, {})
    with refused(r"1\.parquet: pt ranges from 411,067 to 999,335: it looks like MeV"):
        measured(tables, tmp_path)


def test_masses_that_are_all_outside_of_the_range_are_refused_with_theirs(tables, tmp_path):
    other = FLATTEN | {"mass": {"range": [1, 4], "bins": 2}}
    with refused(
        r"'made_up': mass ranges from 85\.42 to 499\.1; expected GeV, 1 to 4; .* or change 'flatten\.mass\.range'"
    ):
        compute_statistics(tables, tmp_path / "s.json", "made_up", SPLIT, ["ecal"], {}, 0.99, other)


def test_a_table_outside_of_the_range_is_dropped_where_others_are_inside(tables, tmp_path):
    jets = make_jets(200, 1, 1000)
    write_jets(tables[1], [replace(jets, mass=jets.mass + 1000)], LAYERS, {})
    measured(tables, tmp_path)
    assert Statistics.load(tmp_path / "s.json").outside == 200


@pytest.mark.parametrize("events", [1, 3])
def test_jets_of_a_few_event_numbers_cannot_be_split(events, tables, tmp_path):
    for seed, table in enumerate(tables):
        jets = make_jets(200, seed)
        write_jets(table, [replace(jets, event=jets.event % events)], LAYERS, {})
    with refused(
        rf"sample 'made_up': 600 jets have {events} event number\(s\) only: 0.*to fix: rename the column 'event'"
    ):
        measured(tables, tmp_path)


def test_a_mass_distribution_with_an_empty_bin_is_refused(tables, tmp_path):
    wide = FLATTEN | {"mass": {"range": [85, 900], "bins": 10}}
    with refused("cannot be flattened: no training jet has mass 574–655.5 GeV"):
        compute_statistics(tables, tmp_path / "s.json", "made_up", SPLIT, ["ecal"], {}, 0.99, wide)


def test_a_split_without_a_jet_is_refused(tables, tmp_path):
    with refused("no jet is left in the split 'test'"):
        compute_statistics(
            tables,
            tmp_path / "s.json",
            "made_up",
            {"train": 0.5, "validation": 0.5, "test": 0},
            ["ecal"],
            {},
            0.99,
            FLATTEN,
        )


def test_jets_outside_the_range_are_dropped_and_counted(tables, tmp_path):
    narrow = FLATTEN | {"mass": {"range": [100, 400], "bins": 2}}
    compute_statistics(tables, tmp_path / "s.json", "made_up", SPLIT, ["ecal"], {}, 0.99, narrow)
    mass = all_jets(tables).mass
    assert Statistics.load(tmp_path / "s.json").outside == np.sum((mass < 100) | (mass > 400))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "not a complete parquet file"),
        (lambda path: path.write_text("event,mass\n1,170\n"), "not a complete parquet file"),
        (lambda path: pq.write_table(pa.table({"x": [1]}), path), "not a jet table of topmass"),
    ],
)
def test_a_table_that_is_none_is_refused(spoil, message, tables, tmp_path):
    spoil(tables[1])
    with refused(rf"1\.parquet: .*{message}"):
        compute_statistics(tables, tmp_path / "s.json", "made_up", SPLIT, ["ecal"], {}, 0.99, FLATTEN)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:2000]), "not a complete shard"),
        (lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)), "not a complete shard"),
        (lambda path: path.write_text("hello"), "not a complete shard"),
        (lambda path: np.savez(path, offset=np.zeros(1)), "not a complete shard"),
    ],
)
def test_a_shard_that_is_none_is_refused(spoil, message, dataset):
    spoil(dataset[1]["train"][1])
    with refused(rf"1\.npz: {message}"):
        list(load_shards(dataset[1]["train"], file_digest(dataset[0])))


@pytest.mark.parametrize(("array", "value"), [("value", np.nan), ("mass", np.inf), ("pixel", 65535), ("layer", 9)])
def test_a_shard_with_an_impossible_number_is_refused_with_its_row(array, value, dataset):
    path = dataset[1]["train"][0]
    shard = Shard.load(path)
    at = shard.offset[2] if array in ("value", "pixel", "layer") else 2
    shard.arrays[array][at] = value
    shard.save(path)
    with refused(r"0\.npz: row 2: "):
        Shard.load(path)


def test_a_shard_made_with_other_statistics_is_refused(dataset):
    content = json.loads(dataset[0].read_text())
    content["scales"][0] *= 2
    dataset[0].write_text(json.dumps(content))
    with refused("a shard made with other statistics: .* instead of"):
        list(load_shards(dataset[1]["train"], file_digest(dataset[0])))


def test_shards_of_two_datasets_are_refused_with_what_differs(dataset, tables, tmp_path):
    paths = {split: tmp_path / f"other_{split}.npz" for split in SPLITS}
    make_shards(tables[0], dataset[0], paths, 0.01, "none")
    shutil.copy(paths["train"], dataset[1]["train"][2])
    with refused(r"2\.npz: a shard of other zero_suppression: 0.01 instead of 1e-05"):
        list(load_shards(dataset[1]["train"], file_digest(dataset[0])))


@pytest.mark.parametrize(
    "change", [{"scales": (1.0,)}, {"scales": (0.0,) * 8}, {"scales": (np.nan,) * 8}, {"compression": "zip"}]
)
def test_shards_that_cannot_say_what_was_done_to_their_values_are_none(change, dataset):
    with pytest.raises(ValueError, match=r"a positive scale|no compression 'zip'"):
        replace(Shard.load(dataset[1]["train"][0]).meta, **change)


def test_shards_of_another_version_are_refused(dataset):
    path = dataset[1]["train"][0]
    with np.load(path) as file:
        arrays = dict(file)
    # As those were that said in words what was done to their values.
    arrays["meta"] = np.array(json.dumps({"version": 2, "layers": ["ecal"], "preprocessing": "compression log"}))
    with path.open("wb") as file:
        np.savez(file, **arrays)
    for read in (Shard.load, lambda path: read_jet_arrays([path], ["mass"], file_digest(dataset[0]))):
        with refused(r"0\.npz: shards of version 2, this code reads 4"):
            read(path)


def test_shards_without_a_jet_are_refused(dataset):
    paths = dataset[1]["test"]
    for path in paths:
        shard = Shard.load(path)
        empty = {name: values[:0] for name, values in shard.arrays.items()}
        Shard(np.zeros(1, np.int64), empty, shard.meta).save(path)
    with refused("test: no jet in any shard"):
        list(load_shards(paths, file_digest(dataset[0])))
    with refused("no shards: no jet in any shard"):
        list(load_shards([], file_digest(dataset[0])))


def test_statistics_that_are_none_are_refused(tmp_path):
    for text in ("", "[]", "{}", '{"version": 99, "flattening": {}}'):
        (tmp_path / "s.json").write_text(text)
        with refused(r"s\.json: "):
            Statistics.load(tmp_path / "s.json")
