"""Conversion of rows of a user's file of jets to a jet table."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from topmass.console import log_info, stage
from topmass.files import BadInput
from topmass.io.columns import REQUIRED
from topmass.io.dense_images import NotUniform
from topmass.io.input_checks import check_numbers, layers_of, physics_checks
from topmass.io.jet_input import JetInput, open_input
from topmass.io.root_formats import PARQUET_FORMAT
from topmass.jets import EVENTS_PER_BLOCK, LARGEST_BLOCK, POSITION_COLUMNS, JetBatch, structural_errors, write_jets
from topmass.layers import Layer
from topmass.progress import track


def convert(
    source: Path,
    table: Path,
    file_index: int = 0,
    part: int = 0,
    n_parts: int = 1,
    layers: Sequence[str] = (),
    columns: Mapping[str, str] = MappingProxyType({}),
    on_invalid: str = "raise",
    position: str = "ieta_iphi",
    sample: str = "NAME",
    file_format: str = PARQUET_FORMAT,
) -> None:
    """Write one of `n_parts` equal parts of the source's rows as a jet table.

    Values that float32 cannot represent are rounded; all others are kept exactly.

    Args:
        source: File of jets; the rows of a ROOT file are its jets.
        table: Jet table to write.
        file_index: Index of the file in its sample, from 0.
        part: Index of the part, from 0.
        n_parts: Number of parts.
        layers: Names of the layers of the images, in the order of the file.
        columns: Column of the file for each quantity whose column has an unusual name, such as {"mass": "m_gen"}.
        on_invalid: "raise" rejects invalid jets, "drop" removes them. "drop" also removes jets without a mass if the
            file has a mass column; otherwise masses are optional.
        position: "none" if the position of the jets in the detector is unknown.
        sample: Name of the sample in messages.
        file_format: Format of the file, as in `open_input`.

    Raises:
        BadInput: The file has no jets, invalid jets with "raise", or a number of jets that does not fit `n_parts`.
    """
    settings = {name: f"samples.{sample}.{name}" for name in ("layers", "columns", "position", "format")}
    needed = [name for name in REQUIRED if position != "none" or name not in POSITION_COLUMNS]
    jets = open_input(source, file_format, columns, needed, settings=settings)
    if not len(jets):
        raise BadInput(f"{source}: no jet in this file")
    file_layers = layers_of(jets, layers)
    first, end = (len(jets) * i // n_parts for i in (part, part + 1))
    if end - first > LARGEST_BLOCK:
        least = -(-len(jets) // LARGEST_BLOCK)
        raise BadInput(
            f"{source}: {len(jets):,} jets in {n_parts} block(s); give 'blocks_per_file' of at least {least}"
        )
    if len(jets) < n_parts:
        most = f"give 'blocks_per_file' of at most {len(jets)}"
        raise BadInput(f"{source}: {len(jets):,} jets cannot fill {n_parts} blocks: {most}")
    if len(jets) >= EVENTS_PER_BLOCK:
        raise BadInput(f"{source}: {len(jets):,} jets; a file may have {EVENTS_PER_BLOCK - 1:,}: divide it")
    check_numbers(jets)
    names = ", ".join(f"{quantity}: {name}" for quantity, name in jets.columns.items())
    log_info(f"{source.name}: rows {first:,} to {end - 1:,}; {names}")
    if "mass" not in jets.columns:
        hint = f"to train, name it with {settings['columns']}"
        log_info(f"{source.name}: no column known as mass: enough to predict it; {hint}")
    provenance = {"file": str(source), "rows": [first, end], "columns": jets.columns}

    def write(table_layers: Sequence[Layer]) -> None:
        jets.rounded = 0
        batches = track(jets.batches(first, end, table_layers), f"block {table.stem}", "jet", end - first, len)
        valid = with_event_numbers(valid_jets(jets, batches, table_layers, first, on_invalid), jets, file_index)
        write_jets(table, valid, table_layers, provenance, position != "none")

    try:
        write(file_layers)
    except NotUniform:
        coarse = ", ".join(layer.name for layer in file_layers if layer.cell > 1)
        log_info(f"{source.name}: {coarse} is not uniform in its cells: stored pixel by pixel, at 25 times the size")
        write([layer._replace(cell=1) for layer in file_layers])
    if jets.rounded:
        log_info(f"{source.name}: {jets.rounded:,} values were no float32 and have been rounded to the nearest")


def valid_jets(
    source: JetInput, batches: Iterator[JetBatch], layers: Sequence[Layer], first: int, on_invalid: str
) -> Iterator[JetBatch]:
    """Yield the valid jets of batches.

    Args:
        source: Input file.
        batches: Consecutive batches of the file.
        layers: Layers of the images.
        first: Row of the first jet.
        on_invalid: "raise" or "drop".

    Raises:
        BadInput: A jet is invalid and `on_invalid` is "raise".
    """
    needed = ("mass", "pt") if on_invalid == "drop" and "mass" in source.columns else ("pt",)
    row, dropped, reason = first, 0, ""
    below_zero = np.zeros(256, int)
    for batch in batches:
        mask = np.ones(len(batch), bool)
        for rows, flaw in (*structural_errors(batch, layers, needed), *physics_checks(batch, layers)):
            if on_invalid == "raise":
                advice = "to leave such jets out, give the sample 'on_invalid: drop'"
                raise BadInput(f"{source.path}: row {row + rows[0]}: {flaw}; {advice}")
            mask[rows], reason = False, reason or f"row {row + rows[0]}: {flaw}"
        row, dropped = row + len(batch), dropped + np.count_nonzero(~mask)
        below_zero += np.bincount(batch.layer[batch.value < 0], minlength=256)
        yield batch if mask.all() else batch.take(np.flatnonzero(mask))
    for layer, values in zip(layers, below_zero, strict=False):
        if values and not layer.signed:
            log_info(f"{source.path.name}: {values:,} values of {layer.name} are below zero, and stay as they are")
    if dropped:
        log_info(f"{source.path.name}: {dropped:,} of {row - first:,} jets cannot be used and are left out ({reason})")


def with_event_numbers(batches: Iterator[JetBatch], source: JetInput, file_index: int) -> Iterator[JetBatch]:
    """Yield the jets; without event numbers in the file, each jet gets an event number unique in the sample."""
    for batch in batches:
        if "event" not in source.columns:
            batch.event = file_index * EVENTS_PER_BLOCK + batch.event
        yield batch


if __name__ == "__main__":
    with stage("convert", snakemake.log[0]):
        convert(
            Path(snakemake.input.source),
            Path(snakemake.output.table),
            snakemake.params.file_index,
            snakemake.params.part,
            snakemake.params.n_parts,
            snakemake.params.layers,
            snakemake.params.columns,
            snakemake.params.on_invalid,
            snakemake.params.position,
            snakemake.wildcards.sample,
            snakemake.params.format,
        )
