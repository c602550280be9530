"""Files and configurations that somebody has damaged, or made on purpose: a clear refusal, or data that can be used."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.synthetic import make_synthetic_shard
from conftest import SPLIT, make_jets
from convert import convert
from topmass.evaluation.predictions import PREDICTION_COLUMNS, Predictions
from topmass.files import BadInput
from topmass.io.dense_file import write_dense
from topmass.jets import QUARKS, JetTable, write_jets
from topmass.layers import LAYERS
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.distribution import summarize_shard
from topmass.preprocessing.shards import Shard, ShardMeta
from topmass.preprocessing.statistics import Statistics

NAMES = [layer.name for layer in LAYERS]
DAMAGES = 60
"""Of each kind of file; every one has its own seed."""


def write_table(path: Path) -> None:
    write_jets(path, [make_jets(12), make_jets(8, 1)], LAYERS, {})


def read_table(path: Path) -> bytes:
    numbers = [array.tobytes() for batch in JetTable(path).batches() for array in vars(batch).values()]
    return b"".join([*numbers, *(rows["mass"].tobytes() for rows in JetTable(path).columns(["mass", "event"]))])


def write_shard(path: Path) -> None:
    jets, cells = make_jets(20), tuple(layer.cell for layer in LAYERS)
    meta = ShardMeta(tuple(NAMES), cells, (1.0,) * len(NAMES), 0.0, "none", "")
    arrays = {name: getattr(jets, name) for name in ("pixel", "layer", "mass", "pt", "jet_mass", "softdrop_mass")}
    arrays |= {"value": jets.value.astype("f2"), "event": jets.event, "weight": np.ones(20, "f4")}
    arrays |= {name: getattr(jets, name).astype("f4") for name in ("ieta", "iphi", *QUARKS)}
    Shard(jets.offset, arrays, meta).save(path)


def read_shard(path: Path) -> bytes:
    shard = Shard.load(path)
    return b"".join([shard.offset.tobytes(), *(array.tobytes() for array in shard.arrays.values())])


def write_statistics(path: Path) -> None:
    from topmass.preprocessing.flattening import Flattening

    flattening = Flattening(np.array([85.0, 500]), np.array([0, 1e6]), np.ones((1, 1)))
    Statistics("gun", SPLIT, ["ecal"], [1], [2.0], flattening, "reject", {"train": 3}, 0, {}).save(path)


def write_model(path: Path) -> None:
    torch.manual_seed(1)
    model = TrainedModel.new({"name": "resnet15"}, ShardMeta(("ecal",), (1,), (1.0,), 0.0, "none", ""))
    model.training = summarize_shard(make_synthetic_shard(3, ("ecal",)))
    model.save(path)


def write_predictions(path: Path) -> None:
    numbers = {name: np.linspace(100, 400, 9, dtype="f4") for name in PREDICTION_COLUMNS}
    Predictions(**numbers | {"event": np.arange(9)}).save(path)


def read_predictions(path: Path) -> bytes:
    predictions = Predictions.load(path)
    return b"".join(getattr(predictions, name).tobytes() for name in PREDICTION_COLUMNS)


def read_cms(path: Path) -> None:
    convert(path, path.with_suffix(".out"), layers=NAMES)
    read_table(path.with_suffix(".out"))


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], bytes | None]]] = {
    "jet table": (write_table, read_table),
    "CMS parquet": (lambda path: write_dense(path, make_jets(3)), read_cms),
    "sparse parquet": (write_table, read_cms),
    "shard": (write_shard, read_shard),
    "statistics": (write_statistics, lambda path: repr(Statistics.load(path)).encode()),
    "model": (write_model, lambda path: repr(TrainedModel.load(path).network.state_dict()).encode()),
    "predictions": (write_predictions, read_predictions),
}


def damage(content: bytes, seed: int) -> bytes:
    """The content with some bytes flipped, cut out, doubled, overwritten or put in; more often near the ends."""
    dice, found = random.Random(seed), bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 5, 20])):
        size = len(found)
        near = dice.choice([size, min(size, 300)])
        at = dice.choice([dice.randrange(near), size - 1 - dice.randrange(near)]) if size else 0
        length = dice.choice([1, 1, 2, 4, 8, 64, 1000])
        match dice.randrange(5):
            case 0 if size:
                found[at] ^= 1 << dice.randrange(8)
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = found[at : at + length]
            case 3:
                found[at : at + length] = dice.choice([b"\x00", b"\xff", b"\x7f", b"9"]) * min(length, size - at)
            case 4:
                found[at:at] = dice.randbytes(length)
    return bytes(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_or_can_be_used(kind, tmp_path):
    write, read = KINDS[kind]
    write(tmp_path / "file")
    content, refused = (tmp_path / "file").read_bytes(), 0
    whole = read(tmp_path / "file")
    for seed in range(DAMAGES):
        (tmp_path / "file").write_bytes(damage(content, seed))
        try:
            found = read(tmp_path / "file")
        except BadInput as error:
            refused += 1
            assert str(tmp_path) in str(error) and len(str(error)) < 1000, seed
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}")
        else:
            assert found == whole, f"seed {seed}: read without a word, and other than it was written"
    assert refused > DAMAGES / 2
