"""Predict the masses of anybody's jets with a trained network, which brings its preprocessing with it."""

import argparse
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import torch
from tqdm import tqdm

from topmass.console import say, stage
from topmass.files import BadInput
from topmass.learning.feeding.foreign import FAR, ForeignJets
from topmass.learning.training.prediction import Predictor
from topmass.scoring.beside import check_output, is_written, join_parts, schema_beside, write_part
from topmass.sources.given import files_of

TAKEN = {"image", "pixel", "layer", "value", "ieta", "iphi"}
"""What a model takes of a file; all else is none of its business."""
HELP = """
Predict the masses of jets with a trained network. MODEL is all that it takes: layers, scales and the rest of the
preprocessing are in it. OUT has one row a jet, in the order of the jets, with all columns of theirs that have one value
a jet, and 'predicted' in GeV; where the network gives an interval, 'low' and 'high' too. Masses are not asked for.

  python workflow/scripts/predict_jets.py results/train/fast/1/model.safetensors jets.parquet masses.parquet
"""


def predict_jets(
    model: Path,
    jets: Sequence[str],
    out: Path,
    layers: Sequence[str] = (),
    columns: Mapping[str, str] = MappingProxyType({}),
    device: str = "auto",
    precision: str = "auto",
) -> None:
    """Write the columns of all jets with their masses beside them, in the order of `jets`: files, folders or URLs.

    `layers` and `columns` are those of `ForeignJets`. One part a file is kept beside `out` until all are there, so that
    a run which was killed goes on with the file that it was at. BadInput for jets that the model cannot be used for.
    """
    check_output(out)
    predictor = Predictor(model, device, precision)
    folder = out.with_name(f".{out.name}.parts")
    files = [file for number, each in enumerate(jets) for file in files_of(each, folder / f"from_{number}")]
    schema = common_schema(files, predictor, layers, columns)
    known = {"model": sha256(model.read_bytes()).hexdigest(), "precision": str(predictor.precision)}
    known |= {"layers": list(layers), "columns": dict(columns)}
    parts = [folder / f"{number:05d}.parquet" for number in range(len(files))]
    for file, part in zip(files, parts, strict=True):
        about = known | {"file": str(file.resolve()), "bytes": file.stat().st_size, "time": file.stat().st_mtime_ns}
        if is_written(part, about):
            say(f"{file}: predicted before")
            continue
        opened = ForeignJets(file, predictor.model.shards, layers, columns)
        write_part(part, predictions(opened, predictor), schema, about)
    say(f"{join_parts(parts, out, schema):,} jets")
    shutil.rmtree(folder)


def common_schema(
    files: Sequence[Path], predictor: Predictor, layers: Sequence[str], columns: Mapping[str, str]
) -> pa.Schema:
    """The columns of what will be written; BadInput before anything is predicted, if a file is not fit, or unlike."""
    found = []
    for file in files:
        kept = ForeignJets(file, predictor.model.shards, layers, columns).kept
        found.append(schema_beside(kept, predictor.model.quantiles[::2], file))
        if not found[-1].equals(found[0]):
            unlike = sorted({str(field) for field in {*found[0]} ^ {*found[-1]}}) or ["their order"]
            raise BadInput(f"{file}: other columns than in {files[0]}: {', '.join(unlike)}; predict them apart")
    return found[0]


def predictions(jets: ForeignJets, predictor: Predictor) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """The columns of a file that are kept and what is predicted, so many jets at a time; says what looks foreign."""
    outside = np.zeros(len(jets.conversion.scales), int)
    path = jets.source.path
    with tqdm(total=len(jets), desc=path.stem, unit="jet", leave=False, disable=None) as progress:
        for shard, far, kept in jets.shards():
            yield kept, predictor.masses(shard)
            outside += far
            progress.update(len(shard))
    for layer, scale, number in zip(jets.conversion.meta.layers, jets.conversion.scales, outside, strict=True):
        if number:
            share = f"{number:,} of {len(jets):,} jets have a value of {layer} beyond {FAR} × {scale:.4g}"
            say(f"{path}: {share}, its scale in the training: they are not like the jets of the training")


def named_columns(text: str) -> dict[str, str]:
    """What the option says: `image=pixels,ieta=eta_index`."""
    named = dict(pair.split("=", 1) for pair in text.split(","))
    if not named.keys() <= TAKEN:
        raise ValueError(text)
    return named


def device_name(text: str) -> str:
    """The same, if it may be that of a device."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise ValueError(text)
    return text


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=Path, help="model.safetensors of a training")
    parser.add_argument("jets", metavar="JETS", nargs="+", help="parquet file, folder of *.parquet, or URL")
    parser.add_argument("out", metavar="OUT", type=Path, help="parquet file to write")
    parser.add_argument(
        "--layers", type=lambda text: text.split(","), default=(), metavar="ecal,hcal,…",
        help="of the images, in the order of the files; jet tables of topmass say it themselves",
    )  # fmt: skip
    parser.add_argument(
        "--columns", type=named_columns, default={}, metavar="image=pixels,…",
        help=f"columns that are not found by their names; of {', '.join(sorted(TAKEN))}",
    )  # fmt: skip
    parser.add_argument(
        "--device",
        type=device_name,
        default="auto",
        help="cpu, cuda, cuda:1; auto, the default, is a GPU if there is one",
    )
    return parser.parse_args()


if __name__ == "__main__":
    if "snakemake" in globals():
        with stage("predict", snakemake.log[0]):
            torch.set_num_threads(snakemake.threads)
            predict_jets(
                Path(snakemake.input.model),
                list(snakemake.input.jets),
                Path(snakemake.output.predictions),
                snakemake.params.layers,
                snakemake.params.columns,
                snakemake.config["compute"]["device"],
                snakemake.params.precision,
            )
    else:
        given = arguments()
        with stage("predict"):
            predict_jets(given.model, given.jets, given.out, given.layers, given.columns, given.device)
