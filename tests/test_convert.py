"""The stage `convert`: dense or sparse parquet of somebody else to jet tables, without loss."""

from dataclasses import fields
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convert as convert_module
from conftest import make_jets
from convert import convert
from downloads import follow
from encryption import write_encrypted
from topmass.files import BadInput
from topmass.io import parquet_input as parquet_module
from topmass.io.dense_file import CMS_COLUMNS, nested_images, write_dense
from topmass.io.dense_images import NotUniform, to_dense, to_sparse
from topmass.io.parquet_input import ParquetInput
from topmass.jets import EVENTS_PER_BLOCK, QUARKS, JetBatch, JetTable, concat_jets, write_jets
from topmass.layers import LAYERS, SIDE, TOWER

NAMES = [layer.name for layer in LAYERS]
THREE = [LAYERS[i] for i in (0, 3, 4)]
SAME = ("offset", "pixel", "layer", "value", "mass", "pt", "ieta", "iphi")


def read(path: Path) -> JetBatch:
    return concat_jets(list(JetTable(path).batches()))


def same(one: JetBatch, other: JetBatch, names: tuple[str, ...] = SAME) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def only(jets: JetBatch, layers: list) -> JetBatch:
    """The values of these layers alone, numbered in this order."""
    number = np.full(len(LAYERS), 99)
    number[[NAMES.index(layer.name) for layer in layers]] = np.arange(len(layers))
    kept = number[jets.layer] < 99
    offset = np.concatenate([[0], np.cumsum(kept)])[jets.offset]
    sparse = (jets.pixel[kept], number[jets.layer[kept]].astype("u1"), jets.value[kept])
    return JetBatch(offset, *sparse, **{field.name: getattr(jets, field.name) for field in fields(JetBatch)[4:]})


VINTAGES = {
    "the public files": {},
    "single precision": {"leaf": "f4"},
    "lists of a fixed size": {"fixed": True},
    "many jets a row group": {"row_group": 7},
    "three layers, other names": {"layers": THREE, "columns": CMS_COLUMNS | {"image": "X_jets", "mass": "genM"}},
    "our own names": {"columns": {name: name for name in CMS_COLUMNS}},
}


@pytest.mark.parametrize("options", VINTAGES.values(), ids=VINTAGES)
def test_any_vintage_gives_the_same_numbers_back(options, tmp_path):
    layers = options.get("layers", LAYERS)
    jets = only(make_jets(20), layers)
    write_dense(tmp_path / "dense.parquet", jets, **options)
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=[layer.name for layer in layers])
    assert same(read(tmp_path / "jets.parquet"), jets)
    assert np.array_equal(to_dense(read(tmp_path / "jets.parquet"), layers), to_dense(jets, layers))


def flat(images: np.ndarray) -> pa.Array:
    return nested_images(images.reshape(len(images), -1))


def views(column: pa.Array) -> pa.Array:
    """Lists as views of lists."""
    return pa.ListViewArray.from_arrays(column.offsets[:-1], np.diff(column.offsets), column.values)


FORMS = {
    "flat lists": lambda images: flat(images),
    "flat lists of a fixed size": lambda images: nested_images(images.reshape(len(images), -1), fixed=True),
    "large lists": lambda images: flat(images).cast(pa.large_list(pa.from_numpy_dtype(images.dtype))),
    "views of lists": lambda images: views(flat(images)),
    "a list a layer": lambda images: nested_images(images.reshape(*images.shape[:2], -1)),
    "layers below each other": lambda images: nested_images(images.reshape(len(images), -1, SIDE)),
    "tensors": lambda images: tensor(images),
    "tensors, flat": lambda images: tensor(images.reshape(len(images), -1)),
    "tensors kept in another order": lambda images: tensor(images, [1, 2, 0]),
    "tensors of any shape": lambda images: with_shape(images),
    "decimals": lambda images: flat(images.astype("f4")).cast(pa.list_(pa.decimal128(38, 30))),
}


@pytest.mark.parametrize("leaf", ["f4", "f2"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_any_form_with_one_meaning_gives_the_same_numbers_back(form, leaf, tmp_path):
    jets = make_jets(20)
    images = to_dense(jets, LAYERS).astype(leaf)
    numbers = {name: getattr(jets, ours) for ours, name in CMS_COLUMNS.items() if ours != "image"}
    pq.write_table(pa.table({"X_jet": form(images)} | numbers), tmp_path / "dense.parquet", row_group_size=7)
    for part in range(2):
        convert(tmp_path / "dense.parquet", tmp_path / f"{part}.parquet", 0, part, 2, layers=NAMES)
    found = concat_jets([read(tmp_path / f"{part}.parquet") for part in range(2)])
    assert np.array_equal(to_dense(found, LAYERS), images.astype("f4")) and same(found, jets, ("mass", "pt", "ieta"))


AWKWARD = {
    "flat lists": lambda images: ak.from_regular(ak.Array(images.reshape(len(images), -1)), axis=None),
    "flat lists of a fixed size": lambda images: ak.Array(images.reshape(len(images), -1)),
    "nested lists": lambda images: ak.from_regular(ak.Array(images), axis=None),
    "lists of a fixed size": lambda images: ak.Array(images),
    "flat lists that could be missing": lambda images: ak.mask(
        ak.Array(images.reshape(len(images), -1)), np.ones(len(images), bool)
    ),
    "flat lists of half precision": lambda images: ak.Array(images.astype("f2").reshape(len(images), -1)),
}


@pytest.mark.parametrize("writer", ["to_parquet", "to_parquet without its type", "known type", "unknown type"])
@pytest.mark.parametrize("form", AWKWARD.values(), ids=AWKWARD)
def test_files_of_awkward_arrays_give_the_same_numbers_back(form, writer, tmp_path):
    jets = make_jets(5)
    jets.value = jets.value.astype("f2").astype("f4")
    numbers = {name: getattr(jets, ours) for ours, name in CMS_COLUMNS.items() if ours != "image"}
    numbers["jet_mass"] = ak.mask(jets.jet_mass, np.arange(5) != 3)
    records = ak.zip({"X_jet": form(to_dense(jets, LAYERS))} | numbers, depth_limit=1)
    if writer.startswith("to_parquet"):
        ak.to_parquet(records, tmp_path / "dense.parquet", extensionarray=writer == "to_parquet")
    else:
        # As older versions of `to_parquet` have done.
        table = ak.to_arrow_table(records, extensionarray=True)
        pq.write_table(table, tmp_path / "dense.parquet")
    if writer == "unknown type":
        pa.unregister_extension_type("awkward")
    try:
        convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES)
    finally:
        if writer == "unknown type":
            pa.register_extension_type(table["m"].type)
    found = read(tmp_path / "jets.parquet")
    assert same(found, jets) and np.array_equal(np.isnan(found.jet_mass), np.arange(5) == 3)


NUMBERS = {
    "decimals": lambda column: column.cast(pa.decimal128(20, 10)),
    "a dictionary": lambda column: column.combine_chunks().dictionary_encode(),
    "half precision": lambda column: column.cast(pa.float16()),
}


@pytest.mark.parametrize("change", NUMBERS.values(), ids=NUMBERS)
def test_numbers_of_any_type(change, tmp_path):
    jets = make_jets(9)
    for name in ("mass", "pt", "eta"):
        setattr(jets, name, np.round(getattr(jets, name)))
    write_dense(tmp_path / "dense.parquet", jets, columns=CMS_COLUMNS | {"eta": "eta"})
    table = pq.read_table(tmp_path / "dense.parquet")
    for name in ("m", "pt", "ieta", "iphi"):
        table = table.set_column(table.schema.get_field_index(name), name, change(table[name]))
    table = table.set_column(table.schema.get_field_index("eta"), "eta", pa.nulls(len(table)))
    pq.write_table(table, tmp_path / "dense.parquet")
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES)
    assert same(read(tmp_path / "jets.parquet"), jets) and np.isnan(read(tmp_path / "jets.parquet").eta).all()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_sparse_to_dense_to_sparse_is_the_same(jets, seed):
    made = make_jets(jets, seed) if jets else make_jets(1).take(np.zeros(0, int))
    offset, sparse = to_sparse(to_dense(made, LAYERS), LAYERS)
    assert np.array_equal(offset, made.offset)
    assert all(np.array_equal(sparse[name], getattr(made, name)) for name in sparse)


def test_the_parts_of_a_file_are_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_module, "ROW_GROUP", 5)
    jets = make_jets(41)
    for row_group in (1, 6, 41):
        write_dense(tmp_path / "dense.parquet", jets, row_group=row_group)
        for part in range(3):
            convert(tmp_path / "dense.parquet", tmp_path / f"{part}.parquet", 2, part, 3, NAMES)
        together = concat_jets([read(tmp_path / f"{part}.parquet") for part in range(3)])
        assert same(together, jets)
        # Each jet is an event of its own, and no other file has it.
        assert np.array_equal(together.event, 2 * EVENTS_PER_BLOCK + np.arange(41))


def test_what_the_file_does_not_know_is_null(tmp_path):
    write_dense(tmp_path / "dense.parquet", make_jets(3))
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES)
    found = read(tmp_path / "jets.parquet")
    assert all(np.isnan(getattr(found, name)).all() for name in ("jet_mass", *QUARKS))


def test_event_numbers_and_more_are_taken_where_they_are_there(tmp_path):
    jets = make_jets(10, first_event=70)
    known = {name: name for name in ("event", "jet_mass", "eta")}
    write_dense(tmp_path / "dense.parquet", jets, columns=CMS_COLUMNS | known)
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", file_index=3, layers=NAMES)
    assert same(read(tmp_path / "jets.parquet"), jets, ("event", "jet_mass", "eta"))


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.float64()], ids=str)
def test_a_file_may_know_of_some_jets_how_many_quarks_they_hold(kind, tmp_path):
    file, jets = tmp_path / "dense.parquet", make_jets(6)
    write_dense(file, jets)
    quarks = pa.array([3, 0, None, 2, 1, None], kind)
    pq.write_table(pq.read_table(file).append_column("three", quarks).append_column("quarks_in_jet", quarks), file)
    convert(file, tmp_path / "jets.parquet", layers=NAMES, columns={"quarks_in_window": "three"})
    for name in QUARKS:
        assert np.array_equal(getattr(read(tmp_path / "jets.parquet"), name), [3, 0, np.nan, 2, 1, np.nan], True)
        assert pq.read_schema(tmp_path / "jets.parquet").field(name).type == pa.int8()


def test_towers_are_stored_once_and_pixels_where_a_tower_is_not_uniform(tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    jets = make_jets(30)
    images = to_dense(jets, LAYERS)
    hcal = NAMES.index("hcal")
    row, column = np.argwhere(images[20, hcal])[0]
    images[20, hcal, row, column] *= 2
    write_dense(tmp_path / "dense.parquet", jets, images=images)
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES)
    table = JetTable(tmp_path / "jets.parquet")
    assert [layer.cell for layer in table.layers] == [1] * 8
    assert "hcal is not uniform in its cells" in caplog.text
    assert np.array_equal(to_dense(read(tmp_path / "jets.parquet"), table.layers), images)


@pytest.mark.parametrize("spoil", [0, 2.0])
def test_a_pixel_that_differs_or_is_missing_makes_a_tower_not_uniform(spoil):
    image = np.zeros((1, 1, SIDE, SIDE))
    image[0, 0, 5:10, 10:15] = 1
    hcal = [LAYERS[NAMES.index("hcal")]]
    assert to_sparse(image, hcal)[1]["pixel"].tolist() == [SIDE // TOWER + 2]
    for at in ((5, 10), (9, 14)):
        changed = image.copy()
        changed[0, 0, *at] = spoil
        with pytest.raises(NotUniform):
            to_sparse(changed, hcal)


def test_values_that_are_no_float32_are_rounded_and_counted(tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    jets = make_jets(4)
    images = to_dense(jets, LAYERS).astype("f8")
    images[images != 0] *= 1 + 1e-12
    write_dense(tmp_path / "dense.parquet", jets, images=images)
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES)
    assert f"{len(jets.value):,} values were no float32" in caplog.text
    assert same(read(tmp_path / "jets.parquet"), jets)


SPARSE_SOURCES = {
    "lists of Awkward Array": lambda table: ak.to_arrow_table(
        ak.from_arrow(table.select(["pixel", "layer", "value", "mass", "pt", "ieta", "iphi", "event"]))
    ),
    "views of lists and dictionaries": lambda table: pa.table(
        {name: views(table[name].combine_chunks()) for name in ("pixel", "layer", "value")}
        | {name: table[name].combine_chunks().dictionary_encode() for name in ("mass", "pt", "ieta", "iphi", "event")}
    ),
    "lists of a fixed size": lambda table: pa.table(
        {name: table[name].cast(pa.list_(table[name].type.value_type, 40)) for name in ("pixel", "layer", "value")}
        | {name: table[name] for name in ("mass", "pt", "ieta", "iphi", "event")}
    ),
    "lists of wide types": lambda table: pa.table(
        {name: table[name].cast(pa.list_(pa.int64())) for name in ("pixel", "layer")}
        | {"value": table["value"].cast(pa.list_(pa.float64()))}
        | {name: table[name] for name in ("mass", "pt", "ieta", "iphi", "event")}
    ),
    "a jet table of our own": lambda table: table,
}


def test_a_file_without_row_groups_has_no_sample(tmp_path):
    schema = pa.schema(
        {name: pa.float64() for name in ("pt", "mass", "ieta", "iphi")} | {"image": pa.list_(pa.float32())}
    )
    pq.ParquetWriter(tmp_path / "empty.parquet", schema).close()
    assert ParquetInput(tmp_path / "empty.parquet", {}).sample(["mass"]) == {}


@pytest.mark.parametrize("change", SPARSE_SOURCES.values(), ids=SPARSE_SOURCES)
def test_sparse_jets_are_taken_as_they_are(change, tmp_path):
    jets = make_jets(50, first_event=5)
    write_jets(tmp_path / "ours.parquet", [jets], LAYERS, {})
    table = change(pq.read_table(tmp_path / "ours.parquet"))
    pq.write_table(table, tmp_path / "theirs.parquet", row_group_size=9)
    ours = b"topmass" in (table.schema.metadata or {})
    convert(tmp_path / "theirs.parquet", tmp_path / "jets.parquet", layers=[] if ours else NAMES)
    assert same(read(tmp_path / "jets.parquet"), jets, (*SAME, "event"))


def refused(message: str):
    return pytest.raises(BadInput, match=message)


def of_lists(path: Path, jets: JetBatch, change=lambda table: table) -> Path:
    """Write jets as another program does that has lists, one row group per 50 jets."""
    write_jets(path, [jets], LAYERS, {})
    pq.write_table(change(pq.read_table(path)).replace_schema_metadata(), path, row_group_size=50)
    return path


def replaced(**columns):
    """Change columns of a table: functions of their numbers."""

    def change(table: pa.Table) -> pa.Table:
        for name, function in columns.items():
            values = pa.array(function(table[name].to_numpy().astype("f8")))
            table = table.set_column(table.schema.get_field_index(name), name, values)
        return table

    return change


OTHER_UNITS = {
    "pT in MeV": (
        {"pt": lambda pt: pt * 1000},
        "pt ranges from 40.,... to 99.,...: it looks like MeV; expected GeV, 5 to",
    ),
    "pT in TeV": (
        {"pt": lambda pt: pt / 1000},
        "pt ranges from 0.40.. to 0.99..: it looks like TeV; .*multiply it by 1000",
    ),
    "mass in MeV": (
        {"mass": lambda mass: mass * 1000},
        "mass ranges from 85,... to 49.,...: it looks like MeV; expected GeV, 0 to 5,000; to fix: divide it by 1000",
    ),
    "jet mass in MeV": (
        {"jet_mass": lambda _: np.linspace(2e4, 2e5, 200)},
        "jet_mass ranges from 20,000 to 200,000: it",
    ),
    "soft-drop mass in MeV": ({"softdrop_mass": lambda _: np.linspace(0, 2e5, 200)}, "softdrop_mass ranges from 0 to"),
    "mass standardised": (
        {"mass": lambda mass: (mass - mass.mean()) / mass.std()},
        "mass ranges from -1.* to 1.*: it looks standardised; expected GeV, .*add the mean",
    ),
    "pT of no unit": (
        {"pt": lambda pt: pt * 1e9},
        r"pt ranges from .* to [\d,]*; expected GeV, 5 to 10,000; to fix: give it",
    ),
}


@pytest.mark.parametrize("on_invalid", ["raise", "drop"])
@pytest.mark.parametrize(("columns", "message"), OTHER_UNITS.values(), ids=OTHER_UNITS)
def test_numbers_in_another_unit_are_refused_with_their_range(columns, message, on_invalid, tmp_path):
    file = of_lists(tmp_path / "lists.parquet", make_jets(200), replaced(**columns))
    for part in range(2):
        with refused(rf"lists\.parquet: {message}"):
            convert(file, tmp_path / "jets.parquet", 0, part, 2, NAMES, on_invalid=on_invalid)
    assert not (tmp_path / "jets.parquet").exists()


def test_odd_numbers_of_some_jets_decide_nothing_about_the_unit(tmp_path):
    """Not at the end of a sorted file, where a part has no others; nor a number that stands for an unknown mass."""
    tail = {"pt": lambda pt: np.where(np.arange(200) < 150, pt, 1e5 + pt)}
    file = of_lists(tmp_path / "lists.parquet", make_jets(200), replaced(**tail))
    convert(file, tmp_path / "jets.parquet", 0, 3, 4, NAMES)
    unknown = {"mass": lambda mass: np.where(np.arange(200) % 2, mass, -999)}
    file = of_lists(tmp_path / "lists.parquet", make_jets(200), replaced(**unknown))
    convert(file, tmp_path / "jets.parquet", layers=NAMES, on_invalid="drop")
    assert len(read(tmp_path / "jets.parquet")) == 100


def test_one_event_number_for_all_jets_is_refused(tmp_path):
    file = of_lists(tmp_path / "lists.parquet", make_jets(200), replaced(event=lambda event: 0 * event + 7))
    with refused("all jets have the event number 7.0 in column 'event'; expected a number per event; to fix: rename"):
        convert(file, tmp_path / "jets.parquet", 0, 1, 2, NAMES)


def named_twice(table: pa.Table, name: str) -> pa.Table:
    return table.append_column(name, table[name])


@pytest.mark.parametrize("name", ["X_jet", "m", "pt", "iphi"])
def test_a_column_that_is_read_and_there_twice_is_refused(name, tmp_path):
    write_dense(tmp_path / "dense.parquet", make_jets(4))
    rewrite(lambda table: named_twice(table, name))(tmp_path / "dense.parquet")
    with refused(rf"dense\.parquet: two columns '{name}': rename one"):
        convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES)


def test_a_column_that_is_not_read_may_be_there_twice(tmp_path):
    """A mass is not read where another column is named for it."""
    jets, texts = make_jets(4), pa.array(["a"] * 4)
    write_dense(tmp_path / "dense.parquet", jets)

    def change(table: pa.Table) -> pa.Table:
        for name in ("run", "run", "mass", "mass"):
            table = table.append_column(name, texts)
        return table

    rewrite(change)(tmp_path / "dense.parquet")
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES, columns={"mass": "m"})
    assert same(read(tmp_path / "jets.parquet"), jets)


@pytest.mark.parametrize("column", ["pt", "value.list.element"])
def test_encrypted_columns_are_called_encrypted(column, tmp_path):
    # The path has the word, too: that is not what decides.
    file = tmp_path / "decrypted" / "lists.parquet"
    table = pq.read_table(of_lists(file, make_jets(4)))
    write_encrypted(table, file, [column])
    with refused(
        r"lists\.parquet: the file, or some of its columns, are encrypted \(Cannot decrypt .*to fix: decrypt it"
    ):
        convert(file, tmp_path / "jets.parquet", layers=NAMES)
    write_encrypted(table, file, [column], plain_footer=False)
    with refused(r"lists\.parquet: not a parquet file but an encrypted parquet file; to fix: decrypt it"):
        convert(file, tmp_path / "jets.parquet", layers=NAMES)
    file.write_bytes(file.read_bytes().replace(b"PARE", b"PAR1"))
    with refused(r"lists\.parquet: not a complete parquet file"):
        convert(file, tmp_path / "jets.parquet", layers=NAMES)


def test_an_encrypted_column_that_is_not_read_does_no_harm(tmp_path):
    jets = make_jets(4)
    table = pq.read_table(of_lists(tmp_path / "lists.parquet", jets)).append_column("secret", pa.array([1.0] * 4))
    write_encrypted(table, tmp_path / "lists.parquet", ["secret"])
    convert(tmp_path / "lists.parquet", tmp_path / "jets.parquet", layers=NAMES)
    assert same(read(tmp_path / "jets.parquet"), jets)


def spoiled(tmp_path: Path, layers: list[str] = NAMES, **numbers) -> None:
    """Sparsify ten jets of which the fourth has other numbers."""
    jets = make_jets(10)
    images = to_dense(jets, LAYERS).astype("f8")
    for name, number in numbers.items():
        if name == "image":
            images[3] = number
        elif name in NAMES:
            images[3, NAMES.index(name), 62, 62] = number
        else:
            setattr(jets, name, getattr(jets, name).astype("f8"))
            getattr(jets, name)[3] = number
    columns = CMS_COLUMNS | {name: name for name in numbers if name in QUARKS}
    write_dense(tmp_path / "dense.parquet", jets, images=images, columns=columns)
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=layers)


FLAWS = {
    "NaN in a pixel": ({"ecal": np.nan}, "value in layer 'ecal' is not finite"),
    "infinity in a pixel": ({"bpix1": np.inf}, "value in layer 'bpix1' is not finite"),
    "NaN in a tower": ({"hcal": np.nan}, "value in layer 'hcal' is not finite"),
    "more than a float32": ({"ecal": 1e300}, "value in layer 'ecal' is not finite"),
    "no pixel": ({"image": 0}, "no pixel is set"),
    "a mass without an end": ({"mass": np.inf}, "mass is not finite"),
    "a negative mass": ({"mass": -173.0}, "the mass is not positive"),
    "four quarks": ({"quarks_in_window": 4.0}, "quarks_in_window is 4, not 0, 1, 2, 3 or null"),
    "half a quark": ({"quarks_in_jet": 0.5}, "quarks_in_jet is 0.5, not 0, 1, 2, 3 or null"),
    "a negative pT": ({"pt": -1.0}, "pt is not positive"),
    "a negative track": ({"track_pt": -0.5}, "value in layer 'track_pt' is -0.5; expected none below zero"),
    "less than no hit": ({"bpix2": -1.0}, "value in layer 'bpix2' is -1; expected none below zero"),
    "beyond the detector": ({"ieta": 9000.0}, "ieta is 9000; expected crystals, from -300 to 300"),
    "beyond the circle": ({"iphi": -361.0}, "iphi is -361; expected crystals, from -360 to 360"),
}


@pytest.mark.parametrize(("numbers", "message"), FLAWS.values(), ids=FLAWS)
def test_a_jet_that_cannot_be_used_is_refused_with_file_and_row(numbers, message, tmp_path):
    with refused(rf"dense\.parquet: row 3: {message}; to leave such jets out, give the sample 'on_invalid: drop'"):
        spoiled(tmp_path, **numbers)
    assert [path.name for path in tmp_path.iterdir()] == ["dense.parquet"]


@pytest.mark.parametrize(("numbers", "message"), FLAWS.values(), ids=FLAWS)
def test_or_left_out_and_counted(numbers, message, tmp_path, caplog):
    with refused("row 3"):
        spoiled(tmp_path, **numbers)
    caplog.set_level("INFO", "topmass")
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES, on_invalid="drop")
    assert f"1 of 10 jets cannot be used and are left out (row 3: {message})" in caplog.text
    assert same(read(tmp_path / "jets.parquet"), make_jets(10).take(np.delete(np.arange(10), 3)))
    assert JetTable(tmp_path / "jets.parquet").layers == LAYERS


def test_a_mass_may_be_unknown_but_drop_leaves_out_the_jets_that_nothing_can_be_learnt_from(tmp_path):
    spoiled(tmp_path, mass=np.nan)
    masses = pq.read_table(tmp_path / "jets.parquet")["mass"]
    assert masses.null_count == 1 and not masses[3].is_valid
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES, on_invalid="drop")
    assert len(read(tmp_path / "jets.parquet")) == 9


@pytest.mark.parametrize("on_invalid", ["raise", "drop"])
def test_a_file_may_know_no_masses_and_says_so(on_invalid, tmp_path, said):
    write_dense(tmp_path / "dense.parquet", make_jets(10), columns={"image": "X_jet", "pt": "pt"})
    settings = {"layers": NAMES, "on_invalid": on_invalid, "position": "none"}
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", **settings)
    assert pq.read_table(tmp_path / "jets.parquet")["mass"].null_count == 10
    assert "no column known as mass: enough to predict it" in said()
    with refused(r"jets\.parquet: row 0: mass is not finite"):
        list(JetTable(tmp_path / "jets.parquet", "mass").batches())


def test_energies_below_zero_are_noise_and_counted(tmp_path, said):
    spoiled(tmp_path, ecal=-0.05)
    assert "dense.parquet: 1 values of ecal are below zero, and stay as they are" in said()
    jets = read(tmp_path / "jets.parquet")
    assert jets.value[jets.layer == NAMES.index("ecal")].min() == np.float32(-0.05)


def test_rows_are_those_of_the_file_in_every_part(tmp_path):
    with refused("row 3"):
        spoiled(tmp_path, mass=-1.0)
    with refused("row 3: the mass"):
        convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", 0, 1, 4, NAMES)
    convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", 0, 0, 4, NAMES)


def rewrite(change):
    """Write the dense file anew with its table changed."""
    return lambda path: pq.write_table(change(pq.read_table(path)), path)


def short_row(table: pa.Table) -> pa.Table:
    """The third image has a row of 124 pixels."""
    jets = table["X_jet"].to_pylist()
    jets[2][1][7].pop()
    return table.set_column(0, "X_jet", pa.array(jets))


def tensor(images: np.ndarray, order: list[int] | None = None, null: int | None = None) -> pa.Array:
    """Images as Arrow's tensors of a fixed shape, their axes kept in this order."""
    order = order or list(range(images.ndim - 1))
    kept = images.transpose(0, *(1 + axis for axis in order))
    kind = pa.fixed_shape_tensor(
        pa.from_numpy_dtype(images.dtype), kept.shape[1:], permutation=np.argsort(order).tolist()
    )
    mask = None if null is None else pa.array(np.arange(len(images)) == null)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(kept.reshape(-1)), int(np.prod(kept.shape[1:])), mask=mask)
    return pa.ExtensionArray.from_storage(kind, flat)


def with_shape(images: np.ndarray, shapes: list | None = None, short: int = 0) -> pa.Array:
    """Images as tensors of any shape are kept: the numbers of each, and its shape, in a structure."""
    flat = images.reshape(len(images), -1)[:, : images[0].size - short]
    shapes = shapes or [list(images.shape[1:])] * len(images)
    mask = pa.array([shape is None for shape in shapes])
    kept = pa.array([shape or [] for shape in shapes], pa.list_(pa.int32()))
    return pa.StructArray.from_arrays([nested_images(flat), kept], ["data", "shape"], mask=mask)


def ones(table: pa.Table) -> np.ndarray:
    return np.ones((len(table), 8, SIDE, SIDE))


def with_image(make, about: str | None = None):
    """Write the dense file anew with the images that are made of ones, and with what is said of their type."""

    def change(table: pa.Table) -> pa.Table:
        column = make(ones(table))
        said = {"ARROW:extension:name": "their.tensor", "ARROW:extension:metadata": about}
        return table.set_column(0, pa.field("X_jet", column.type, metadata=said if about else None), column)

    return rewrite(change)


BROKEN = {
    "a truncated file": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "not a complete parquet file"),
    "no parquet": (lambda path: path.write_text("m,pt\n1,2\n"), "not a parquet file but text; "),
    "a pointer to it": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0f1e\nsize 9\n"),
        "not a parquet file but a Git LFS pointer; to fix: run `git lfs pull` in a clone",
    ),
    "a page": (
        lambda path: path.write_text("<!DOCTYPE html><p>"),
        "not a parquet file but an HTML page",
    ),
    "an empty file": (lambda path: path.write_text(""), "not a parquet file but empty"),
    "no jet": (rewrite(lambda table: table.slice(0, 0)), "no jet in this file"),
    "a hole": (lambda path: path.write_bytes(b"PAR1" + bytes(1500) + path.read_bytes()[1504:]), "damaged after row 0"),
    "no pT": (rewrite(lambda table: table.drop_columns("pt")), r"no column known as pt; name it with samples\.NAME"),
    "no image": (rewrite(lambda table: table.drop_columns("X_jet")), "neither dense images nor lists of values"),
    "two masses": (rewrite(lambda t: t.append_column("am", t["m"])), "m and am could both be the mass: say which"),
    "a mass of text": (
        rewrite(lambda t: t.set_column(1, "m", t["m"].cast(pa.string()))),
        "row 0: mass is string, not a number",
    ),
    "a position between towers": (
        rewrite(lambda t: t.set_column(3, "ieta", pa.array([1.5] * len(t)))),
        "row 0: ieta 1.5 is not a int16",
    ),
    "a null position": (
        rewrite(lambda t: t.set_column(3, "ieta", pa.array([1.0, None] + [1.0] * (len(t) - 2)))),
        "row 1: ieta is null",
    ),
    "images of another side": (
        rewrite(lambda t: t.set_column(0, "X_jet", nested_images(np.ones((len(t), 8, 64, 64))))),
        "row 0: images are 8 × 64 × 64 instead of 8 × 125 × 125",
    ),
    "flat images": (
        rewrite(lambda t: t.set_column(0, "X_jet", pa.array([1.0] * len(t)))),
        "row 0: images are single numbers",
    ),
    "empty images": (
        rewrite(lambda t: t.set_column(0, "X_jet", pa.array([[[]]] * len(t), pa.list_(pa.list_(pa.float32()))))),
        "row 0: images are 1 × 0 instead of 8 × 125 × 125",
    ),
    "flat images of another length": (
        with_image(lambda images: nested_images(images.reshape(4, -1)[:, 1:])),
        "row 0: images are 124999 instead of 8 × 125 × 125",
    ),
    "images with their layers last": (
        with_image(lambda images: nested_images(images.transpose(0, 2, 3, 1))),
        "row 0: images are 125 × 125 × 8 instead of 8 × 125 × 125",
    ),
    "tensors with their layers last": (
        with_image(lambda images: tensor(images.transpose(0, 2, 3, 1))),
        "row 0: images are 125 × 125 × 8 instead of 8 × 125 × 125",
    ),
    "a null tensor": (
        with_image(lambda images: tensor(images, null=2)),
        "row 2: the image has a part that is missing",
    ),
    "a tensor of another shape": (
        with_image(lambda images: with_shape(images, [[8, 125, 125]] * 3 + [[125, 125, 8]])),
        "row 3: images are 125 × 125 × 8 instead of 8 × 125 × 125",
    ),
    "a tensor with less than its shape": (
        with_image(lambda images: with_shape(images, short=9)),
        "row 0: images are 124991 instead of 8 × 125 × 125",
    ),
    "a null tensor of any shape": (
        with_image(lambda images: with_shape(images, [[8, 125, 125], None, [1], [1]])),
        "row 1: the image is null",
    ),
    "flat images of which the file says another shape": (
        with_image(lambda images: nested_images(images.reshape(4, -1)), "[125, 125, 8]"),
        r"row 0: the image is flat, and its type does not say 8 × 125 × 125: \[125, 125, 8\]",
    ),
    "tensors of which the file says another order": (
        with_image(with_shape, '{"permutation": [0, 2, 1]}'),
        'row 0: the image is flat, and its axes are not in order: {"permutation"',
    ),
    "a short row": (rewrite(short_row), "row 2: the image has a part that is missing or of another length"),
    "a null image": (
        rewrite(lambda t: t.set_column(0, "X_jet", pa.array([None, *t["X_jet"].to_pylist()[1:]]))),
        "row 0: the image has a part that is missing",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BROKEN.values(), ids=BROKEN)
def test_a_file_of_no_known_form_is_refused(spoil, message, tmp_path):
    write_dense(tmp_path / "dense.parquet", make_jets(4))
    spoil(tmp_path / "dense.parquet")
    with refused(rf"dense\.parquet: {message}"):
        convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", layers=NAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["dense.parquet"]


BROKEN_LISTS = {
    "pixels between pixels": ({"pixel": [[1.5]]}, "row 0: pixel 1.5 is not a uint16"),
    "a negative pixel": ({"pixel": [[-1]]}, "row 0: pixel -1 is not a uint16"),
    "lists of two lengths": ({"pixel": [[1, 2]]}, "row 0: pixel, layer and value differ in length"),
    "a layer that is not listed": ({"layer": [[8]]}, "row 0: layer 8 does not exist"),
    "a pixel outside": ({"pixel": [[15625]]}, "row 0: pixel 15625 does not exist"),
    "no lists": ({"pixel": [1]}, "row 0: pixel is int64, not a list of numbers"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN_LISTS.values(), ids=BROKEN_LISTS)
def test_lists_of_no_known_form_are_refused(change, message, tmp_path):
    row = {"pixel": [[7]], "layer": [[0]], "value": [[1.0]], "mass": [170.0], "pt": [500.0], "ieta": [1], "iphi": [1]}
    pq.write_table(pa.table(row | change), tmp_path / "lists.parquet")
    with refused(rf"lists\.parquet: {message}"):
        convert(tmp_path / "lists.parquet", tmp_path / "jets.parquet", layers=NAMES)


def test_a_page_that_has_been_downloaded_is_fetched_anew_when_the_advice_is_followed(tmp_path):
    path = tmp_path / "jets.parquet"
    path.write_text("<html>")
    path.with_name("jets.parquet.sha256").write_text("0" * 64 + "  jets.parquet\n")
    with refused("if it is a download") as error:
        convert(path, tmp_path / "out.parquet", layers=NAMES)
    follow(str(error.value))
    assert list(tmp_path.iterdir()) == []


def test_layers_that_are_not_listed_or_too_few_are_asked_for(tmp_path):
    with refused(r"it does not say what its layers are: list them, in its order, with samples\.NAME\.layers"):
        spoiled(tmp_path, layers=[])
    with refused(r"row 0: images are 8 × 125 × 125 instead of 3 × 125 × 125 \(3 layers are listed\)"):
        spoiled(tmp_path, layers=NAMES[:3])


def test_a_block_that_is_too_large_says_how_many_there_must_be(tmp_path, monkeypatch):
    monkeypatch.setattr(convert_module, "LARGEST_BLOCK", 4)
    with refused(r"10 jets in 1 block\(s\); give 'blocks_per_file' of at least 3"):
        spoiled(tmp_path)
    with refused("10 jets cannot fill 11 blocks: give 'blocks_per_file' of at most 10"):
        convert(tmp_path / "dense.parquet", tmp_path / "jets.parquet", 0, 0, 11, NAMES)
