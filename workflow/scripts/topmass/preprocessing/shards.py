"""Shards: preprocessed jets in the form in which training takes them, one `.npz` a block and split."""

import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from topmass.files import BadInput, damage, whole
from topmass.jets import POSITION, QUARKS, join_offsets, take_values
from topmass.layers import SIDE, find_layers
from topmass.preprocessing.scaling import COMPRESSIONS, require_scales

VERSION = 4
MASS_SCALE = 500.0
"""GeV; networks regress mass / MASS_SCALE, as in the reference."""
SPARSE = {"pixel": np.dtype("u2"), "layer": np.dtype("u1"), "value": np.dtype("f2")}
PER_JET = {
    **dict.fromkeys(("mass", "weight", "pt", "ieta", "iphi", "jet_mass", "softdrop_mass", *QUARKS), np.dtype("f4")),
    "event": np.dtype("i8"),
}


DAMAGED = (
    OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, MemoryError, RuntimeError,
    zipfile.BadZipFile,
)  # fmt: skip
"""What NumPy and zipfile raise for a damaged file; RuntimeError where it seems to be encrypted."""


@dataclass(frozen=True)
class ShardMeta:
    """What all shards of a dataset have in common.

    `layers` with the cell of each in pixels and its scale in the unit of the layer; how values were suppressed and
    compressed, as in `scale_values`; `statistics` the digest of the statistics; `position` whether it is known where in
    the detector the jets are; `side` of the image in pixels.
    """

    layers: tuple[str, ...]
    cells: tuple[int, ...]
    scales: tuple[float, ...]
    zero_suppression: float
    compression: str
    statistics: str
    position: bool = True
    side: int = SIDE
    version: int = VERSION

    def __post_init__(self) -> None:
        if not isinstance(self.position, bool):
            raise ValueError(f"position is {self.position}")
        find_layers(self.layers, self.cells)
        require_scales(self.scales, len(self.layers))
        if self.compression not in COMPRESSIONS:
            raise ValueError(f"no compression '{self.compression}'")
        if self.side != SIDE:
            raise ValueError(f"images of {self.side} pixels a side, not {SIDE}")

    @property
    def coordinates(self) -> int:
        """Numbers that say where a jet is: `iphi` and `ieta`, or none."""
        return 2 if self.position else 0

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, text: str, path: Path) -> "ShardMeta":
        """From JSON out of a file; BadInput for another version, KeyError, ValueError, … for something else."""
        content = json.loads(text)
        if content["version"] != VERSION:
            raise BadInput(f"{path}: shards of version {content['version']}, this code reads {VERSION}")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()})


@dataclass
class Shard:
    """N jets, sparse as in a JetBatch: `offset` (N + 1,), the arrays of SPARSE by value, those of PER_JET by jet.

    `weight` makes the training jets flat together; it is one where unbiasing has dropped jets instead.
    """

    offset: np.ndarray
    arrays: dict[str, np.ndarray]
    meta: ShardMeta

    def __len__(self) -> int:
        return len(self.offset) - 1

    @classmethod
    def join(cls, shards: Sequence["Shard"]) -> "Shard":
        """One shard of all the jets of several (one or more) of one dataset."""
        arrays = {name: np.concatenate([shard.arrays[name] for shard in shards]) for name in shards[0].arrays}
        return cls(join_offsets([shard.offset for shard in shards]), arrays, shards[0].meta)

    def take(self, jets: np.ndarray) -> "Shard":
        """The jets at these indices, in this order."""
        offset, values = take_values(self.offset, jets)
        arrays = {name: each[values if name in SPARSE else jets] for name, each in self.arrays.items()}
        return Shard(offset, arrays, self.meta)

    def without_values(self) -> "Shard":
        """The same jets with nothing in their images."""
        return Shard(
            np.zeros_like(self.offset), self.arrays | {name: np.empty(0, SPARSE[name]) for name in SPARSE}, self.meta
        )

    def save(self, path: Path) -> None:
        """Write, uncompressed."""
        with whole(path) as part, part.open("wb") as file:
            np.savez(file, offset=self.offset, **self.arrays, meta=np.array(self.meta.dump()))

    @classmethod
    def load(cls, path: Path, expected: ShardMeta | None = None) -> "Shard":
        """Read and check; BadInput if the file is no whole shard, or one of another dataset than `expected`."""
        with opened(path) as file:
            # First: a shard of another version may lack arrays.
            meta = ShardMeta.parse(str(file["meta"]), path)
            shard = cls(file["offset"], {name: file[name] for name in (*SPARSE, *PER_JET)}, meta)
        if expected is not None:
            shard._compare(path, expected)
        shard._check(path)
        return shard

    def _compare(self, path: Path, expected: ShardMeta) -> None:
        for name, wanted in asdict(expected).items():
            found = getattr(self.meta, name)
            if found != wanted:
                raise BadInput(f"{path}: a shard of other {name}: {found} instead of {wanted}")

    def _check(self, path: Path) -> None:
        dtypes = {"offset": np.dtype("i8"), **SPARSE, **PER_JET}
        for name, array in {"offset": self.offset, **self.arrays}.items():
            if array.ndim != 1 or array.dtype != dtypes[name]:
                raise BadInput(f"{path}: {name} is of type {array.dtype} and shape {array.shape}")
        if not len(self.offset) or self.offset[0] != 0 or (np.diff(self.offset) < 0).any():
            raise BadInput(f"{path}: the offsets of a shard start at 0 and do not fall")
        lengths = {len(self.arrays[name]) for name in PER_JET}
        if lengths != {len(self)} or {len(self.arrays[name]) for name in SPARSE} != {self.offset[-1]}:
            raise BadInput(f"{path}: arrays of a shard differ in length")
        size = np.zeros(256, np.uint16)
        size[: len(self.meta.cells)] = [(self.meta.side // cell) ** 2 for cell in self.meta.cells]
        wrong = (self.arrays["pixel"] >= size[self.arrays["layer"]]) | ~np.isfinite(self.arrays["value"])
        if wrong.any():
            row = int(np.searchsorted(self.offset, np.argmax(wrong), side="right")) - 1
            raise BadInput(f"{path}: row {row}: a pixel that does not exist or a value that is not finite")
        for name in ("mass", "weight", "pt", *(POSITION if self.meta.position else ())):
            wrong = ~np.isfinite(self.arrays[name])
            if wrong.any():
                raise BadInput(f"{path}: row {int(np.argmax(wrong))}: {name} is not finite")


def load_shards(paths: Iterable[Path], statistics: str, expected: ShardMeta | None = None) -> Iterator[Shard]:
    """The shards of a split that hold a jet, one by one.

    BadInput unless they are of one dataset with these statistics, that of `expected` if it is given, and there is one.
    """
    found = False
    for path in paths:
        shard = Shard.load(path, expected)
        require_statistics(path, shard.meta, statistics)
        expected = shard.meta
        if len(shard):
            found = True
            yield shard
    if not found:
        raise BadInput(f"{path.parent}: no jet in any shard")


def read_numbers(paths: Sequence[Path], names: Sequence[str], statistics: str) -> list[np.ndarray]:
    """Some numbers of all jets of a split, (N,) each, without their images; BadInput as for `load_shards`."""
    found: list[list[np.ndarray]] = []
    for path in paths:
        with opened(path) as file:
            require_statistics(path, ShardMeta.parse(str(file["meta"]), path), statistics)
            found.append([file[name] for name in names])
    numbers = [np.concatenate(arrays) for arrays in zip(*found, strict=True)]
    if not len(numbers[0]):
        raise BadInput(f"{paths[0].parent}: no jet in any shard")
    return numbers


@contextmanager
def opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """A shard's file, of which each array is read when it is asked for; BadInput if it turns out not to be one."""
    # What cannot be opened is not damaged.
    with path.open("rb") as content:
        try:
            with np.load(content, allow_pickle=False) as file:
                yield file
        except DAMAGED as error:
            # NumPy says which array it has no memory for: none is larger than its file, which is not compressed.
            if isinstance(error, MemoryError) and bytes_wanted(error) > path.stat().st_size:
                raise BadInput(f"{path}: not a whole shard ({error})") from None
            raise damage(error, f"{path}: not a whole shard") from None


def bytes_wanted(error: MemoryError) -> int:
    """The size of the array that there was no memory for, where the error says it."""
    return math.prod(error.shape) * error.dtype.itemsize if hasattr(error, "shape") else 0


def require_statistics(path: Path, meta: ShardMeta, statistics: str) -> None:
    """BadInput unless the shard was made with these statistics."""
    if meta.statistics != statistics:
        raise BadInput(f"{path}: a shard made with other statistics: {meta.statistics} instead of {statistics}")
