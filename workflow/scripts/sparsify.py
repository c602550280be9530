"""Bring a range of rows of somebody's parquet file into a jet table."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from tqdm import tqdm

from topmass.console import say, stage
from topmass.files import BadInput
from topmass.jets import EVENTS_PER_BLOCK, LARGEST_BLOCK, POSITION, JetBatch, flaws, write_jets
from topmass.layers import Layer
from topmass.sources.columns import NEEDED
from topmass.sources.dense import NotUniform
from topmass.sources.parquet import Source
from topmass.sources.usable import layers_of, oddities


def sparsify(
    source: Path,
    table: Path,
    number: int = 0,
    part: int = 0,
    parts: int = 1,
    layers: Sequence[str] = (),
    columns: Mapping[str, str] = MappingProxyType({}),
    unusable: str = "refuse",
    position: str = "ieta_iphi",
) -> None:
    """Write one of so many equal parts of the source's rows as a jet table.

    `number` is that of the file in its sample, from 0; `layers` name those of the images, in the order of the file.
    Jets that cannot be used are refused, or with `unusable` "drop" left out; a mass may be unknown, but "drop" leaves
    out the jets of a file with masses that have none. With `position` "none" it is unknown where in the detector they
    are. Lossless, but for values that are no float32.
    """
    known_position = position != "none"
    opened = Source(source, columns, [name for name in NEEDED if known_position or name not in POSITION])
    if not len(opened):
        raise BadInput(f"{source}: no jet in this file")
    known = layers_of(opened, layers)
    first, last = (len(opened) * i // parts for i in (part, part + 1))
    if last - first > LARGEST_BLOCK:
        least = -(-len(opened) // LARGEST_BLOCK)
        raise BadInput(
            f"{source}: {len(opened):,} jets in {parts} block(s); give 'blocks_per_file' of at least {least}"
        )
    if len(opened) < parts:
        most = f"give 'blocks_per_file' of at most {len(opened)}"
        raise BadInput(f"{source}: {len(opened):,} jets cannot fill {parts} blocks: {most}")
    if len(opened) >= EVENTS_PER_BLOCK:
        raise BadInput(f"{source}: {len(opened):,} jets; a file may have {EVENTS_PER_BLOCK - 1:,}: divide it")
    say(
        f"{source.name}: rows {first:,} to {last:,}; "
        + ", ".join(f"{ours}: {name}" for ours, name in opened.columns.items())
    )
    if "mass" not in opened.columns:
        say(f"{source.name}: no column known as mass: enough to predict it; to train, name it under 'columns'")
    about = {"file": source.name, "rows": [first, last], "columns": opened.columns}

    def write(layers: Sequence[Layer]) -> None:
        with tqdm(total=last - first, desc=table.stem, unit="jet", leave=False, disable=None) as progress:
            batches = usable(opened, opened.batches(first, last, layers), layers, first, unusable)
            write_jets(table, numbered(batches, opened, number, progress), layers, about, known_position)

    try:
        write(known)
    except NotUniform:
        coarse = ", ".join(layer.name for layer in known if layer.cell > 1)
        say(f"{source.name}: {coarse} is not uniform in its cells: stored pixel by pixel, at 25 times the size")
        write([layer._replace(cell=1) for layer in known])
    if opened.rounded:
        say(f"{source.name}: {opened.rounded:,} values were no float32 and have been rounded to the nearest")


def usable(
    source: Source, batches: Iterator[JetBatch], layers: Sequence[Layer], first: int, unusable: str
) -> Iterator[JetBatch]:
    """The jets of batches that begin with row `first`, less those with a flaw; BadInput if those are refused."""
    needed = ("mass", "pt") if unusable == "drop" and "mass" in source.columns else ("pt",)
    row, left_out, why = first, 0, ""
    for batch in batches:
        kept = np.ones(len(batch), bool)
        for rows, flaw in (*flaws(batch, layers, needed), *oddities(batch)):
            if unusable == "refuse":
                advice = "to leave such jets out, give the sample 'unusable: drop'"
                raise BadInput(f"{source.path}: row {row + rows[0]}: {flaw}; {advice}")
            kept[rows], why = False, why or f"row {row + rows[0]}: {flaw}"
        row, left_out = row + len(batch), left_out + np.count_nonzero(~kept)
        yield batch if kept.all() else batch.take(np.flatnonzero(kept))
    if left_out:
        say(f"{source.path.name}: {left_out:,} of {row - first:,} jets cannot be used and are left out ({why})")


def numbered(batches: Iterator[JetBatch], source: Source, number: int, progress: tqdm) -> Iterator[JetBatch]:
    """The same jets; where the file knows no events, each is one of its own, with a number that no other file has."""
    for batch in batches:
        if "event" not in source.columns:
            batch.event = number * EVENTS_PER_BLOCK + batch.event
        progress.update(len(batch))
        yield batch


if __name__ == "__main__":
    with stage("sparsify", snakemake.log[0]):
        sparsify(
            Path(snakemake.input.source),
            Path(snakemake.output.table),
            snakemake.params.number,
            snakemake.params.part,
            snakemake.params.parts,
            snakemake.params.layers,
            snakemake.params.columns,
            snakemake.params.unusable,
            snakemake.params.position,
        )
