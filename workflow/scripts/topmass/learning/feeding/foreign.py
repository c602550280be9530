"""Somebody's file of jets, with or without masses, as the shards that a model takes, batch by batch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from topmass.files import BadInput
from topmass.jets import POSITION, JetBatch, flaws
from topmass.preprocessing.conversion import Conversion
from topmass.preprocessing.shards import Shard, ShardMeta
from topmass.sources.dense import NotUniform
from topmass.sources.parquet import Source
from topmass.sources.usable import layers_of, oddities

FAR = 10
"""The scale of a layer is what one in 1,000 of its values reaches in the training, unless a user has set it."""


class ForeignJets:
    """The jets of a file, preprocessed as the shards of this metadata are; BadInput if the file is not fit for that.

    `layers` name those of its images where it does not say them itself, `columns` what is not known by its name.
    `kept` is the schema of what it has beside the images: one value a jet.
    """

    def __init__(self, path: Path, meta: ShardMeta, layers: Sequence[str], columns: Mapping[str, str]) -> None:
        position = POSITION if meta.position else ()
        self.source = Source(path, columns, needed=(), welcome=position)
        if not len(self):
            raise BadInput(f"{path}: no jet in this file")
        for name in position:
            if name not in self.source.columns:
                raise BadInput(f"{path}: no column '{name}', and the model asks for it: name it under 'columns'")
        self.layers = layers_of(self.source, layers)
        if self.source.dense:
            # Only what the model takes has to have its cells.
            cells = dict(zip(meta.layers, meta.cells, strict=True))
            self.layers = tuple(layer._replace(cell=cells.get(layer.name, 1)) for layer in self.layers)
        self.conversion = Conversion(path, self.layers, meta)
        self.kept = self.find_kept()

    def __len__(self) -> int:
        return len(self.source)

    def find_kept(self) -> pa.Schema:
        """The columns with one value a jet; BadInput if two have one name."""
        names = [name for name in self.source.scalars if name != self.source.columns.get("image")]
        for name in names:
            if names.count(name) > 1:
                raise BadInput(f"{self.source.path}: two columns '{name}': rename one")
        return pa.schema([self.source.file.schema_arrow.field(name) for name in names])

    def shards(self) -> Iterator[tuple[Shard, np.ndarray, pa.Table]]:
        """All jets in their order, so many at a time, with `outside` and the columns that are kept.

        BadInput with the row of the first jet that cannot be used.
        """
        first, path = 0, self.source.path
        try:
            for batch, beside in self.source.batches_with(0, len(self), self.layers, self.kept.names):
                for rows, flaw in (*flaws(batch, self.layers, ()), *oddities(batch)):
                    raise BadInput(f"{path}: row {first + rows[0]}: {flaw}")
                jets = np.arange(len(batch))
                yield self.conversion.to_shard(batch, jets, np.ones(len(batch))), self.outside(batch), beside
                first += len(batch)
        except NotUniform:
            coarse = ", ".join(layer.name for layer in self.layers if layer.cell > 1)
            trouble = f"{coarse} is not uniform in its cells, and was in the jets that the model was trained on"
            raise BadInput(f"{path}: row {first} or a later one: {trouble}") from None

    def outside(self, batch: JetBatch) -> np.ndarray:
        """In how many jets a layer of the model, (layers,), has a value of FAR times its scale or more."""
        number, scales = self.conversion.number[batch.layer], self.conversion.scales
        taken = np.flatnonzero(number < len(scales))
        far = taken[np.abs(batch.value[taken]) >= FAR * scales[number[taken]]]
        jet = np.searchsorted(batch.offset, far, side="right") - 1
        pairs = np.unique(jet * len(scales) + number[far])
        return np.bincount(pairs % len(scales), minlength=len(scales))
