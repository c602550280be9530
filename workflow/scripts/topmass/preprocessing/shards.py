"""Shards: preprocessed jets for training, one `.npz` per block and split."""

import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from topmass.files import BadInput, atomic_write, classify_read_error
from topmass.jets import POSITION_COLUMNS, QUARKS, join_offsets, take_values
from topmass.layers import SIDE, find_layers
from topmass.preprocessing.scaling import COMPRESSIONS, require_scales

SHARD_VERSION = 4
MASS_SCALE = 500.0
"""GeV; networks regress mass / MASS_SCALE, as in the reference paper."""
SHARD_HIT_ARRAYS = {"pixel": np.dtype("u2"), "layer": np.dtype("u1"), "value": np.dtype("f2")}
SHARD_JET_ARRAYS = {
    **dict.fromkeys(("mass", "weight", "pt", "ieta", "iphi", "jet_mass", "softdrop_mass", *QUARKS), np.dtype("f4")),
    "event": np.dtype("i8"),
}


CORRUPT_SHARD = (
    OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, MemoryError, RuntimeError,
    zipfile.BadZipFile,
)  # fmt: skip
"""Exceptions of NumPy and zipfile for a corrupt file; RuntimeError if it looks encrypted."""


@dataclass(frozen=True)
class ShardMeta:
    """Common metadata of all shards of a dataset.

    Attributes:
        layers: Names of the layers.
        cells: Cell side of each layer, pixels.
        scales: Scale of each layer, in the unit of the layer.
        zero_suppression: Argument of `normalize`.
        compression: Argument of `normalize`.
        statistics: Digest of the statistics.
        position: Whether the jets have a position in the detector.
        side: Side of the image, pixels.
        version: Version of the shard format.
    """

    layers: tuple[str, ...]
    cells: tuple[int, ...]
    scales: tuple[float, ...]
    zero_suppression: float
    compression: str
    statistics: str
    position: bool = True
    side: int = SIDE
    version: int = SHARD_VERSION

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
        """Number of position coordinates per jet: two (`ieta` and `iphi`) or zero."""
        return 2 if self.position else 0

    def dump(self) -> str:
        """Return the metadata as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, text: str, path: Path) -> "ShardMeta":
        """Parse the JSON text of the shard `path`; raise BadInput if its version differs."""
        content = json.loads(text)
        if content["version"] != SHARD_VERSION:
            raise BadInput(f"{path}: shards of version {content['version']}, this code reads {SHARD_VERSION}")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()})


@dataclass
class Shard:
    """N sparse jets, as in a JetBatch.

    Attributes:
        offset: Offsets (N + 1,) of the values of each jet.
        arrays: SHARD_HIT_ARRAYS per value and SHARD_JET_ARRAYS per jet. `weight` flattens the training jets; it is one
            if flattening rejects jets instead.
        meta: Metadata of the dataset.
    """

    offset: np.ndarray
    arrays: dict[str, np.ndarray]
    meta: ShardMeta

    def __len__(self) -> int:
        return len(self.offset) - 1

    @classmethod
    def join(cls, shards: Sequence["Shard"]) -> "Shard":
        """Concatenate one or more shards of one dataset."""
        arrays = {name: np.concatenate([shard.arrays[name] for shard in shards]) for name in shards[0].arrays}
        return cls(join_offsets([shard.offset for shard in shards]), arrays, shards[0].meta)

    def take(self, jets: np.ndarray) -> "Shard":
        """Return the jets at these indices, in this order."""
        offset, values = take_values(self.offset, jets)
        arrays = {name: array[values if name in SHARD_HIT_ARRAYS else jets] for name, array in self.arrays.items()}
        return Shard(offset, arrays, self.meta)

    def without_values(self) -> "Shard":
        """Return the same jets with empty images."""
        empty = {name: np.empty(0, dtype) for name, dtype in SHARD_HIT_ARRAYS.items()}
        return Shard(np.zeros_like(self.offset), self.arrays | empty, self.meta)

    def save(self, path: Path) -> None:
        """Write the shard, uncompressed."""
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez(file, offset=self.offset, **self.arrays, meta=np.array(self.meta.dump()))

    @classmethod
    def load(cls, path: Path, expected: ShardMeta | None = None) -> "Shard":
        """Load and check a shard.

        Raises:
            BadInput: If the file is not a complete shard or has other metadata than `expected`; None accepts any.
        """
        with open_shard(path) as file:
            # Check the version first: another version may lack arrays.
            meta = ShardMeta.parse(str(file["meta"]), path)
            shard = cls(file["offset"], {name: file[name] for name in (*SHARD_HIT_ARRAYS, *SHARD_JET_ARRAYS)}, meta)
        for name, value in asdict(expected or meta).items():
            if getattr(meta, name) != value:
                raise BadInput(f"{path}: a shard of other {name}: {getattr(meta, name)} instead of {value}")
        shard._check(path)
        return shard

    def _check(self, path: Path) -> None:
        dtypes = {"offset": np.dtype("i8"), **SHARD_HIT_ARRAYS, **SHARD_JET_ARRAYS}
        for name, array in {"offset": self.offset, **self.arrays}.items():
            if array.ndim != 1 or array.dtype != dtypes[name]:
                raise BadInput(f"{path}: {name} is of type {array.dtype} and shape {array.shape}")
        if not len(self.offset) or self.offset[0] != 0 or (np.diff(self.offset) < 0).any():
            raise BadInput(f"{path}: the offsets of a shard start at 0 and do not fall")
        lengths = {len(self.arrays[name]) for name in SHARD_JET_ARRAYS}
        if lengths != {len(self)} or {len(self.arrays[name]) for name in SHARD_HIT_ARRAYS} != {self.offset[-1]}:
            raise BadInput(f"{path}: arrays of a shard differ in length")
        size = np.zeros(256, np.uint16)
        size[: len(self.meta.cells)] = [(self.meta.side // cell) ** 2 for cell in self.meta.cells]
        wrong = (self.arrays["pixel"] >= size[self.arrays["layer"]]) | ~np.isfinite(self.arrays["value"])
        if wrong.any():
            row = int(np.searchsorted(self.offset, np.argmax(wrong), side="right")) - 1
            raise BadInput(f"{path}: row {row}: a pixel that does not exist or a value that is not finite")
        for name in ("mass", "weight", "pt", *(POSITION_COLUMNS if self.meta.position else ())):
            wrong = ~np.isfinite(self.arrays[name])
            if wrong.any():
                raise BadInput(f"{path}: row {int(np.argmax(wrong))}: {name} is not finite")


def load_shards(paths: Iterable[Path], statistics: str, expected: ShardMeta | None = None) -> Iterator[Shard]:
    """Yield the non-empty shards of a split.

    Raises:
        BadInput: If a shard has other statistics, or other metadata than `expected` (None: than the first shard), or if
            no shard contains a jet.
    """
    path, has_jets = None, False
    for path in paths:
        shard = Shard.load(path, expected)
        require_statistics(path, shard.meta, statistics)
        expected = shard.meta
        if len(shard):
            has_jets = True
            yield shard
    if not has_jets:
        raise BadInput(f"{path.parent if path else 'no shards'}: no jet in any shard")


def read_jet_arrays(paths: Sequence[Path], names: Sequence[str], statistics: str) -> list[np.ndarray]:
    """Load some arrays of SHARD_JET_ARRAYS, (N,) each, of all jets of a split without their images.

    Raises:
        BadInput: If a shard is corrupt or has other statistics, or if no shard contains a jet.
    """
    pieces: list[list[np.ndarray]] = []
    for path in paths:
        with open_shard(path) as file:
            require_statistics(path, ShardMeta.parse(str(file["meta"]), path), statistics)
            pieces.append([file[name] for name in names])
    arrays = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    if not len(arrays[0]):
        raise BadInput(f"{paths[0].parent}: no jet in any shard")
    return arrays


@contextmanager
def open_shard(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open a shard with lazily loaded arrays; raise BadInput if the file is corrupt."""
    # An error of `open` does not mean that the file is corrupt.
    with path.open("rb") as content:
        try:
            with np.load(content, allow_pickle=False) as file:
                yield file
        except CORRUPT_SHARD as error:
            # Shards are not compressed: an array that is larger than its file is a sign of corruption.
            size = math.prod(error.shape) * error.dtype.itemsize if hasattr(error, "shape") else 0
            if size > path.stat().st_size:
                raise BadInput(f"{path}: not a complete shard ({error})") from None
            raise classify_read_error(error, f"{path}: not a complete shard") from None


def require_statistics(path: Path, meta: ShardMeta, statistics: str) -> None:
    """Raise BadInput unless the shard was made with these statistics."""
    if meta.statistics != statistics:
        raise BadInput(f"{path}: a shard made with other statistics: {meta.statistics} instead of {statistics}")
