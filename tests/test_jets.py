"""The jet table gives back what was written, and refuses files that are not whole or not right."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encryption import write_encrypted
from topmass import jets as jets_module
from topmass.files import BadInput
from topmass.jets import HIT_COLUMNS, JET_COLUMNS, QUARKS, JetBatch, JetTable, concat_jets, write_jets
from topmass.layers import LAYERS

SOURCE = {"simulation": {"process": "gun"}, "seed": 1}
MAY_BE_UNKNOWN = ("eta", "phi", "jet_mass", "softdrop_mass", "top_pt", *QUARKS)
HCAL = 4
FEW_EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def random_jets(counts: list[int], seed: int = 1) -> JetBatch:
    """Jets with so many values each, everything that is allowed, unknown numbers included."""
    rng = np.random.default_rng(seed)
    layer = rng.integers(0, len(LAYERS), sum(counts)).astype("u1")
    per_jet = {name: (1000 * rng.normal(size=len(counts))).astype(dtype) for name, dtype in JET_COLUMNS.items()}
    per_jet |= {name: rng.integers(0, 4, len(counts)).astype("f4") for name in QUARKS}
    for name in MAY_BE_UNKNOWN:
        per_jet[name][rng.random(len(counts)) < 0.3] = np.nan
    return JetBatch(
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        pixel=rng.integers(0, np.where(layer == HCAL, 625, 15625)).astype("u2"),
        layer=layer,
        value=rng.normal(size=sum(counts)).astype("f4"),
        **per_jet,
    )


def same(one: JetBatch, other: JetBatch) -> bool:
    """All fields equal to the bit, and of the same type."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(JetBatch)]
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)


batches = st.builds(random_jets, st.lists(st.integers(0, 5), max_size=8), st.integers(0, 2**32 - 1))


@pytest.fixture
def table(tmp_path) -> Path:
    """A jet table of seven jets in two row groups."""
    path = tmp_path / "jets.parquet"
    write_jets(path, [random_jets([3, 0, 4, 2]), random_jets([1, 2, 0], seed=2)], LAYERS, SOURCE)
    return path


def rewrite(path: Path, change) -> None:
    """Write the file anew with its table changed."""
    pq.write_table(change(pq.read_table(path)), path)


def damage(path: Path, **values) -> None:
    """Write a table of five jets of two values each, with the second jet's values or numbers replaced."""
    batch = random_jets([2] * 5)
    for name, value in values.items():
        getattr(batch, name)[3 if name in HIT_COLUMNS else 1] = value
    write_jets(path, [batch], LAYERS, SOURCE)


@FEW_EXAMPLES
@given(st.lists(batches.filter(len), max_size=3))
def test_what_is_written_is_read_back(tmp_path, written):
    path = tmp_path / "jets.parquet"
    write_jets(path, written, LAYERS, SOURCE)
    table = JetTable(path)
    assert len(table) == sum(map(len, written))
    assert table.layers == LAYERS and table.about["source"] == SOURCE
    read = list(table.batches())
    assert same(concat_jets(read), concat_jets(written)) if read else len(table) == 0


def test_an_empty_batch_adds_nothing(table):
    before = concat_jets(list(JetTable(table).batches()))
    write_jets(table, [random_jets([]), before, random_jets([])], LAYERS, SOURCE)
    assert same(concat_jets(list(JetTable(table).batches())), before)


def test_what_is_unknown_is_null_in_the_file_and_nan_in_the_batch(table):
    stored = pq.read_table(table)
    read = concat_jets(list(JetTable(table).batches()))
    for name in MAY_BE_UNKNOWN:
        assert np.isnan(getattr(read, name)).tolist() == [value is None for value in stored[name].to_pylist()]
    assert sum(stored[name].null_count for name in MAY_BE_UNKNOWN) > 0


def test_a_table_larger_than_a_row_group_comes_in_pieces_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(jets_module, "ROW_GROUP", 3)
    written = random_jets([1, 0, 2, 3, 1, 1, 4, 0, 2, 1])
    write_jets(tmp_path / "jets.parquet", [written.take(np.arange(7)), written.take(np.arange(7, 10))], LAYERS, SOURCE)
    read = list(JetTable(tmp_path / "jets.parquet").batches())
    assert max(map(len, read)) <= 3 and same(concat_jets(read), written)


def test_single_columns_are_those_of_the_batches(table):
    whole = concat_jets(list(JetTable(table).batches()))
    columns = list(JetTable(table).columns(["mass", "event"]))
    assert np.array_equal(np.concatenate([part["mass"] for part in columns]), whole.mass)
    assert np.array_equal(np.concatenate([part["event"] for part in columns]), whole.event)


@FEW_EXAMPLES
@given(batches, st.data())
def test_to_take_jets_is_to_take_each_by_itself_and_join_them(batch, data):
    chosen = np.array(data.draw(st.lists(st.integers(0, max(0, len(batch) - 1)), max_size=6 if len(batch) else 0)), int)
    taken = batch.take(chosen)
    assert len(taken) == len(chosen)
    for i, jet in enumerate(chosen):
        assert same(taken.take(np.array([i])), batch.take(np.array([jet])))
        here, there = (slice(b.offset[k], b.offset[k + 1]) for b, k in ((taken, i), (batch, jet)))
        assert all(np.array_equal(getattr(taken, name)[here], getattr(batch, name)[there]) for name in HIT_COLUMNS)
        assert taken.event[i] == batch.event[jet]


@FEW_EXAMPLES
@given(batches, st.data())
def test_a_batch_cut_in_two_and_joined_is_itself(batch, data):
    cut = data.draw(st.integers(0, len(batch)))
    jets = np.arange(len(batch))
    assert same(concat_jets([batch.take(jets[:cut]), batch.take(jets[cut:])]), batch)


def test_the_order_of_joining_two_by_two_does_not_matter():
    a, b, c = (random_jets([k, 2], seed=k) for k in range(3))
    assert same(concat_jets([concat_jets([a, b]), c]), concat_jets([a, concat_jets([b, c])]))


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(table, kept):
    table.write_bytes(table.read_bytes()[: int(kept * table.stat().st_size)])
    with pytest.raises(BadInput, match=r"jets\.parquet: not a complete parquet file"):
        JetTable(table)


def test_a_file_that_is_damaged_inside_is_refused(table):
    content = bytearray(table.read_bytes())
    content[4:2000] = bytes(1996)
    table.write_bytes(content)
    with pytest.raises(BadInput, match=r"jets\.parquet: damaged after row 0"):
        list(JetTable(table).batches())


def test_a_foreign_parquet_file_is_refused(tmp_path):
    pq.write_table(pa.table({"m": [173.0]}), tmp_path / "foreign.parquet")
    with pytest.raises(BadInput, match=r"foreign\.parquet: .* not a jet table"):
        JetTable(tmp_path / "foreign.parquet")


@pytest.mark.parametrize("column", ["value", "mass", "event"])
def test_a_missing_column_is_named(table, column):
    rewrite(table, lambda stored: stored.drop_columns([column]))
    with pytest.raises(BadInput, match=rf"jets\.parquet: no column '{column}'"):
        JetTable(table)


@pytest.mark.parametrize("name", ["value", "mass"])
def test_a_column_that_is_there_twice_is_named(table, name):
    rewrite(table, lambda stored: stored.append_column(name, stored[name]))
    with pytest.raises(BadInput, match=rf"jets\.parquet: two columns '{name}': rename one"):
        JetTable(table)


def test_an_encrypted_table_is_called_encrypted(table):
    stored = pq.read_table(table)
    write_encrypted(stored, table, ["mass"])
    for read in (JetTable(table).batches, lambda: JetTable(table).columns(["mass"])):
        with pytest.raises(BadInput, match=r"jets\.parquet: the file, or some of its columns, are encrypted \(Cannot"):
            list(read())
    assert len(list(JetTable(table).columns(["pt"]))) == 1
    write_encrypted(stored, table, ["mass"], plain_footer=False)
    with pytest.raises(BadInput, match=r"jets\.parquet: the file, or some of its columns, are encrypted \(Could not"):
        JetTable(table)


def test_a_column_of_another_type_is_named(table):
    def to_double(stored: pa.Table) -> pa.Table:
        return stored.set_column(stored.schema.get_field_index("pt"), "pt", stored["pt"].cast("float64"))

    rewrite(table, to_double)
    with pytest.raises(BadInput, match=r"jets\.parquet: column 'pt' is double, not float"):
        JetTable(table)


def test_a_table_of_another_version_is_refused(table, monkeypatch):
    monkeypatch.setattr(jets_module, "JET_TABLE_VERSION", 4)
    with pytest.raises(
        BadInput, match=r"jets\.parquet: jet table of \(version, side\) \(3, 125\), this code reads \(4, 125\)"
    ):
        JetTable(table)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"value": np.nan}, "value in layer .* is not finite"),
        ({"value": -np.inf}, "value in layer .* is not finite"),
        ({"mass": np.inf}, "mass is not finite"),
        ({"pt": np.nan}, "pt is not finite"),
        ({"quarks_in_window": 4}, "quarks_in_window is 4, not 0, 1, 2, 3 or null"),
        ({"quarks_in_jet": -1}, "quarks_in_jet is -1, not 0, 1, 2, 3 or null"),
        ({"layer": 8}, "layer 8 does not exist"),
        ({"layer": 0, "pixel": 15625}, "pixel 15625 does not exist"),
        ({"layer": HCAL, "pixel": 625}, "pixel 625 does not exist"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_file_and_row(tmp_path, wrong, message):
    path = tmp_path / "jets.parquet"
    damage(path, **wrong)
    with pytest.raises(BadInput, match=rf"jets\.parquet: row 1: {message}"):
        list(JetTable(path, "mass").batches())


@pytest.mark.parametrize("name", ["mass", "value"])
def test_rows_are_counted_over_all_row_groups(tmp_path, monkeypatch, name):
    monkeypatch.setattr(jets_module, "ROW_GROUP", 2)
    good = random_jets([0, 1])
    wrong = replace(good, **{name: np.full_like(getattr(good, name), np.inf)})
    write_jets(tmp_path / "jets.parquet", [good, good, wrong], LAYERS, SOURCE)
    row = 4 if name == "mass" else 5
    with pytest.raises(BadInput, match=f"row {row}: {name}"):
        list(JetTable(tmp_path / "jets.parquet", "mass").batches())


def test_a_generated_mass_as_target_is_read_as_mass_and_jets_without_it_are_left_out(tmp_path):
    jets = random_jets([2, 0, 3, 1])
    jets.gen_softdrop_mass = np.array([100, np.nan, 200, 300], "f4")
    jets.mass[:] = np.nan
    write_jets(tmp_path / "jets.parquet", [jets], LAYERS, SOURCE)
    table = JetTable(tmp_path / "jets.parquet", "gen_softdrop_mass")
    read = concat_jets(list(table.batches()))
    assert read.mass.tolist() == [100, 200, 300] and np.array_equal(read.event, jets.event[[0, 2, 3]])
    (columns,) = table.columns(["mass", "event"])
    assert columns["mass"].tolist() == [100, 200, 300] and np.array_equal(columns["event"], jets.event[[0, 2, 3]])
    with pytest.raises(BadInput, match="row 0: mass is not finite"):
        list(JetTable(tmp_path / "jets.parquet", "mass").batches())


def test_a_writer_that_fails_leaves_the_old_table_as_it_was(table):
    def failing():
        yield random_jets([1])
        raise RuntimeError("no more jets")

    before = table.read_bytes()
    with pytest.raises(RuntimeError):
        write_jets(table, failing(), LAYERS, SOURCE)
    assert table.read_bytes() == before and list(table.parent.iterdir()) == [table]
