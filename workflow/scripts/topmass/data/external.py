"""Conversion of a user's file of jets to shards, batch by batch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from topmass.files import BadInput
from topmass.io.columns import COMMAND_LINE_OPTIONS
from topmass.io.decoding import BadRow, to_numeric
from topmass.io.dense_images import NotUniform
from topmass.io.input_checks import layers_of, physics_checks
from topmass.io.jet_input import open_input
from topmass.io.root_formats import PARQUET_FORMAT
from topmass.jets import POSITION_COLUMNS, JetBatch, structural_errors
from topmass.preprocessing.distribution import JetSummary, summarize
from topmass.preprocessing.shard_builder import ShardBuilder
from topmass.preprocessing.shards import Shard, ShardMeta

OUTLIER_FACTOR = 10
"""Values above this multiple of the scale of their layer count as outliers.

By default, one in 1,000 training values reaches the scale.
"""


class ExternalJets:
    """The jets of a user's file, preprocessed for a model. They need no masses.

    Args:
        path: Parquet file with dense or sparse images, or ROOT file with candidates.
        meta: Metadata of the shards of the model.
        layers: Layers of the images, if the file does not record them.
        columns: Column of the file for each quantity without a known column name.
        settings: Names of the options for `layers` and `columns`, for error messages.
        file_format: Format of the file, as in `open_input`.

    Attributes:
        passthrough: Schema of the other columns of the file with one value per jet.

    Raises:
        BadInput: The file cannot be converted.
    """

    def __init__(
        self,
        path: Path,
        meta: ShardMeta,
        layers: Sequence[str] = (),
        columns: Mapping[str, str] = MappingProxyType({}),
        settings: Mapping[str, str] = COMMAND_LINE_OPTIONS,
        file_format: str = PARQUET_FORMAT,
    ) -> None:
        position = POSITION_COLUMNS if meta.position else ()
        self.source = open_input(path, file_format, columns, (), position, settings)
        if not len(self):
            raise BadInput(f"{path}: no jet in this file")
        for name in position:
            if name not in {*self.source.columns, *self.source.computed}:
                remedy = f"name it with {settings['columns']}"
                raise BadInput(f"{path}: no column '{name}', and the model asks for it: {remedy}")
        self.layers = layers_of(self.source, layers)
        if self.source.dense:
            # Only the layers of the model must have the cells of the model.
            cells = dict(zip(meta.layers, meta.cells, strict=True))
            self.layers = tuple(layer._replace(cell=cells.get(layer.name, 1)) for layer in self.layers)
        self.builder = ShardBuilder(path, self.layers, meta)
        # Layers that the model does not use may have any values.
        self.checked_layers = tuple(
            layer._replace(signed=layer.signed or layer.name not in meta.layers) for layer in self.layers
        )
        names = [field.name for field in self.source.scalars]
        for name in names:
            if names.count(name) > 1:
                raise BadInput(f"{path}: two columns '{name}': rename one")
        self.passthrough = pa.schema(self.source.scalars)

    def __len__(self) -> int:
        return len(self.source)

    def shards(self) -> Iterator[tuple[Shard, pa.Table, JetSummary]]:
        """Convert all jets in their order, batch by batch.

        Yields:
            Shard, table of the columns in `passthrough`, and summary of the jets.

        Raises:
            BadInput: A jet cannot be used; the message contains the row of the first one.
        """
        first, path = 0, self.source.path
        try:
            for batch, table in self.source.batches_with(0, len(self), self.layers, self.passthrough.names):
                structural = structural_errors(batch, self.layers, ())
                for rows, error in (*structural, *physics_checks(batch, self.checked_layers)):
                    raise BadInput(f"{path}: row {first + rows[0]}: {error}")
                jets = np.arange(len(batch))
                yield self.builder.to_shard(batch, jets, np.ones(len(batch))), table, self.summary(batch, table)
                first += len(batch)
        except NotUniform:
            coarse = ", ".join(layer.name for layer in self.layers if layer.cell > 1)
            problem = f"{coarse} is not uniform in its cells, and was in the jets that the model was trained on"
            raise BadInput(f"{path}: row {first} or a later one: {problem}") from None

    def summary(self, batch: JetBatch, table: pa.Table) -> JetSummary:
        """Summarise the distribution of jets, without values below the zero suppression; `table` may contain pt."""
        meta, scales = self.builder.meta, self.builder.scales
        layer = self.builder.number[batch.layer]
        hits = np.flatnonzero(layer < len(scales))
        hits = hits[np.abs(batch.value[hits]) >= meta.zero_suppression * scales[layer[hits]]]
        quantities = {name: getattr(batch, name) for name in (POSITION_COLUMNS if meta.position else ())}
        with suppress(KeyError, BadRow):
            # pt is no input of the model, so it may be missing or invalid.
            quantities["pt"] = to_numeric(table["pt"].combine_chunks(), np.dtype("f4"), "pt")
        offset = np.searchsorted(hits, batch.offset)
        return summarize(meta, self.builder.cells, offset, layer[hits], batch.value[hits], quantities, OUTLIER_FACTOR)
