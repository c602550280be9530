"""Files that somebody has made on purpose, with every checksum right: a clear refusal, or data that can be used."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from benchmarks.synthetic import make_synthetic_shard
from conftest import make_jets
from convert import convert
from make_shards import make_shards
from test_hostile import NAMES, write_model, write_predictions, write_shard, write_statistics, write_table
from topmass.data.batches import SparseJets, to_dense_images
from topmass.evaluation.predictions import Predictions
from topmass.files import BadInput
from topmass.io.dense_file import write_dense
from topmass.jets import JetTable
from topmass.layers import SIDE
from topmass.models.safetensors_io import read_tensors, to_bytes
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.distribution import summarize_shard
from topmass.preprocessing.distribution_shift import shift_error, shift_table
from topmass.preprocessing.shards import Shard
from topmass.preprocessing.statistics import Statistics, content_checksum
from topmass.process_group import ProcessGroup
from topmass.training.checkpoint import CheckpointManager
from topmass.training.recipe import Recipe
from topmass.training.state import TrainState, ValidationRecord

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), st.sampled_from(NAMES)
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
TYPES = ("u1", "i2", "i8", "u8", "f2", "f4", "f8", "?", "c8", "U3", "S2", "M8[s]")
ODD = (0, 1, -1, 125, 2**15, 2**31, 2**63, float("nan"), float("inf"), -float("inf"), 1e300, 1e-300)
FORGERIES = st.integers(1, 3)


def forged_json(draw: Callable, content: object) -> object:
    """The content with one of its values, however deep, replaced or removed."""
    if not isinstance(content, dict | list) or not content or draw(st.integers(0, 4)) == 0:
        return draw(ANYTHING)
    keys = sorted(content) if isinstance(content, dict) else range(len(content))
    key = draw(st.sampled_from(list(keys)))
    changed = content.copy()
    if draw(st.integers(0, 9)) == 0:
        del changed[key]
    else:
        changed[key] = forged_json(draw, content[key])
    return changed


def forged_array(draw: Callable, array: np.ndarray) -> np.ndarray:
    """The array with an odd number in it, or of another type, shape or length."""
    array = np.atleast_1d(array)
    match draw(st.integers(0, 3)):
        case 0 if array.size:
            changed = array.copy()
            with np.errstate(all="ignore"):
                changed.flat[draw(st.integers(0, array.size - 1))] = np.array(draw(st.sampled_from(ODD))).astype(
                    array.dtype
                )
            return changed
        case 1:
            # What has been made text or time has no way back.
            with np.errstate(all="ignore"):
                return array if array.dtype.kind in "USM" else array.astype(draw(st.sampled_from(TYPES)))
        case 2:
            shapes = ((-1, 1), (1, -1), (1, 1, -1))
            return array.reshape(draw(st.sampled_from(shapes)))
    return draw(st.sampled_from([array[:-1], np.concatenate([array, array]), array[:0], np.array(7)]))


def forged_parts(draw: Callable, parts: dict, change: Callable) -> dict:
    """Some of the parts changed, removed or under another's name."""
    changed = dict(parts)
    for _ in range(draw(FORGERIES)):
        name = draw(st.sampled_from(sorted(parts)))
        match draw(st.integers(0, 9)):
            case 0:
                changed.pop(name, None)
            case 1:
                changed[name] = parts[draw(st.sampled_from(sorted(parts)))]
            case _:
                changed[name] = change(draw, changed.get(name, parts[name]))
    return changed


def forged_column(draw: Callable, column: pa.Array) -> pa.Array:
    """The column with values changed, missing, of another type, or of other lengths."""
    values = column.to_pylist()
    at = draw(st.integers(0, len(values) - 1))
    match draw(st.integers(0, 4)):
        case 0:
            values[at] = None
        case 1 if isinstance(values[at], list):
            values[at] = values[at][:-1]
        case 2 if isinstance(values[at], list) and values[at]:
            values[at][-1] = draw(st.sampled_from([None, *ODD]))
        case 3:
            odd = draw(st.sampled_from([pa.string(), pa.list_(pa.float64()), pa.bool_(), pa.null(), pa.float16()]))
            return pa.nulls(len(column), odd)
        case _ if not isinstance(values[at], list):
            values[at] = draw(st.sampled_from(ODD))
    try:
        return pa.array(values, column.type)
    except (pa.ArrowInvalid, OverflowError, TypeError):
        return pa.array(column.to_pylist())


def forge_table(draw: Callable, path: Path) -> None:
    """A parquet file with the columns and metadata of the one that is there, some of them forged."""
    table = pq.read_table(path).combine_chunks()
    about = table.schema.metadata or {}
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    if b"topmass" in about and draw(st.booleans()):
        about = about | {b"topmass": json.dumps(forged_json(draw, json.loads(about[b"topmass"]))).encode()}
    else:
        columns = forged_parts(draw, columns, forged_column)
    table = pa.table(columns).replace_schema_metadata(about)
    try:
        pq.write_table(table, path, row_group_size=draw(st.integers(1, 20)))
    except pa.ArrowInvalid:
        reject()  # null where the type forbids it


def forge_shard(draw: Callable, path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    meta = str(arrays.pop("meta"))
    if draw(st.booleans()):
        meta = json.dumps(forged_json(draw, json.loads(meta)))
    else:
        arrays = forged_parts(draw, arrays, forged_array)
    with path.open("wb") as file:
        np.savez(file, **arrays, meta=np.array(meta))


def forge_statistics(draw: Callable, path: Path) -> None:
    content = forged_json(draw, json.loads(path.read_text()))
    if isinstance(content, dict):
        content.pop("checksum", None)
        content["checksum"] = content_checksum(content)
    path.write_text(json.dumps(content))


def forge_tensors(draw: Callable, path: Path) -> None:
    tensors, about = read_tensors(path)
    if draw(st.booleans()):
        about = json.dumps(forged_json(draw, json.loads(about)))
    else:
        arrays = forged_parts(draw, {name: each.numpy() for name, each in tensors.items()}, forged_array)
        allowed = [each for each in arrays.values() if each.dtype.kind in "buifc" and each.dtype != np.uint64]
        tensors = {
            name: torch.from_numpy(each.copy())
            for name, each in arrays.items()
            if any(each is other for other in allowed)
        }
    path.write_bytes(to_bytes(tensors, about))


def use_table(path: Path) -> None:
    for batch in JetTable(path).batches():
        assert batch.event.dtype == np.int64 and np.isfinite(batch.value).all() and (batch.pixel < SIDE**2).all()
        assert batch.offset[0] == 0 and batch.offset[-1] == len(batch.value) and (np.diff(batch.offset) >= 0).all()
    sum(len(each["mass"]) for each in JetTable(path).columns(["mass", "event"]))


def use_source(path: Path) -> None:
    """What is accepted gives a table that is good."""
    convert(path, path.with_suffix(".out"), layers=NAMES)
    use_table(path.with_suffix(".out"))


def use_shard(path: Path) -> None:
    shard = Shard.load(path)
    shard.take(np.arange(len(shard))[::-1])
    jets = SparseJets.of(shard, torch.device("cpu"))
    assert to_dense_images(jets.gather(torch.arange(len(shard)), len(jets.value)), shard.meta).isfinite().all()


def use_statistics(path: Path) -> None:
    """What is accepted makes shards that are good."""
    Statistics.load(path)
    write_table(path.with_name("table.parquet"))
    shards = {split: path.with_name(f"{split}.npz") for split in ("train", "validation", "test")}
    make_shards(path.with_name("table.parquet"), path, shards, 1e-5, "log")
    for shard in shards.values():
        use_shard(shard)


def use_model(path: Path) -> None:
    model = TrainedModel.load(path)
    here = summarize_shard(make_synthetic_shard(3, ("ecal",)))
    if model.training:
        assert shift_table(model.training, here)
        shift_error(model.training, here)
    images = torch.zeros(2, len(model.shards.layers), model.shards.side, model.shards.side)
    assert model.network.eval().backbone(images, torch.zeros(2, 2)).shape == (2, 1)


def state() -> TrainState:
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))
    state = TrainState(network, Recipe(3, 2, 1e-3, ema_decay=0.9), fused=False)
    network(torch.ones(3, 2)).sum().backward()
    state.optimizer.step()
    state.record_validation(ValidationRecord(1, 1, 1, 1, 1, 1, 1, 1, 1))
    return state


def keeper(path: Path) -> CheckpointManager:
    return CheckpointManager(path, {"version": 1}, state(), "in memory", ProcessGroup())


def use_checkpoint(path: Path) -> None:
    """A training goes on, or begins anew with the checkpoint set aside."""
    found = keeper(path)
    found.restore()
    state = found.state
    state.network(torch.ones(3, 2)).sum().backward()
    state.optimizer.step()
    state.record_validation(ValidationRecord(state.epoch, 1, 1, 1, 1, 1, 1, 1, 1))
    found.save()
    assert all(set(each) >= {"0.weight"} for each in (state.best_weights, state.weights()))


KINDS: dict[str, tuple[Callable, Callable, Callable]] = {
    "jet table": (write_table, forge_table, use_table),
    "sparse parquet": (write_table, forge_table, use_source),
    "CMS parquet": (lambda path: write_dense(path, make_jets(2)), forge_table, use_source),
    "shard": (write_shard, forge_shard, use_shard),
    "statistics": (write_statistics, forge_statistics, use_statistics),
    "model": (write_model, forge_tensors, use_model),
    "checkpoint": (lambda path: keeper(path).save(), forge_tensors, use_checkpoint),
    "predictions": (write_predictions, forge_table, Predictions.load),
}


def check(kind: str, data: st.DataObject) -> None:
    """Forge a file of this kind, and read it."""
    write, forge, use = KINDS[kind]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        forge(data.draw, path)
        try:
            use(path)
        except BadInput as error:
            assert folder in str(error) and len(str(error)) < 1000


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_forged_file_is_refused_or_can_be_used(kind, data):
    check(kind, data)
