"""Prediction of the masses of user jets with a trained network."""

import argparse
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from topmass.console import log_info
from topmass.data.external import ExternalJets
from topmass.evaluation.calibrated_masses import MassCalibration
from topmass.evaluation.friend_tree import MASSES, FriendFile, write_friend_tree
from topmass.evaluation.inference_output import (
    check_output,
    is_written,
    join_parts,
    output_schema,
    summary_of,
    write_part,
)
from topmass.files import BadInput
from topmass.io.columns import COMMAND_LINE_OPTIONS
from topmass.io.download import resolve_inputs
from topmass.io.root_formats import FORMATS, PARQUET_FORMAT, ROOT_QUANTITIES
from topmass.limits import available_cores
from topmass.preprocessing.distribution import Distribution, JetSummary
from topmass.preprocessing.distribution_shift import shift_error, shift_table
from topmass.progress import track
from topmass.training.inference import Predictor, check_finite, median_prediction

MODEL_COLUMNS = {"image", "pixel", "layer", "value", "ieta", "iphi"}
"""Columns of parquet files that the model reads; all other columns are passed through."""
DESCRIPTION = """
Predict the masses of jets with a trained network. MODEL contains everything that the network needs: layers, scales and
the rest of the preprocessing. OUT has one row per jet, in the order of the jets: all columns with one value per jet,
'predicted' in GeV and, if the network predicts intervals, 'low' and 'high'. The jets need no generated masses. If OUT
ends in .root, it has a tree of the masses with the entries of the jets' tree, as its friend.
"""


def predict_jets(
    model: Path,
    jets: Sequence[str],
    out: Path,
    layers: Sequence[str] = (),
    columns: Mapping[str, str] = MappingProxyType({}),
    device: str = "auto",
    precision: str = "auto",
    settings: Mapping[str, str] = COMMAND_LINE_OPTIONS,
    file_format: str = PARQUET_FORMAT,
    calibration: Path | None = None,
) -> None:
    """Write the input columns of all jets with their predicted masses, in the order of `jets`.

    One part per file is stored next to `out` until all are complete, so that a killed run resumes at the current file.
    At the end, a table compares the distributions of all jets with those of the training.

    Args:
        model: Trained network.
        jets: Files, folders or URLs.
        out: Parquet file to write; or a ROOT file, with a tree, if the name ends in `.root`.
        layers: Layers of the images, as in `ExternalJets`.
        columns: Names of columns that are not found by default, as in `ExternalJets`.
        device: Device, as for `Predictor`.
        precision: Precision, as for `Predictor`.
        settings: Names of the options in messages.
        file_format: Format of the files, as in `open_input`.
        calibration: JSON file of the stage `calibrate` for the model, which adds the column `calibrated`; or None.

    Raises:
        BadInput: The model cannot be used for these jets.
    """
    check_output(out)
    predictor = Predictor(model, device, precision, settings["device"])
    folder = out.with_name(f".{out.name}.parts")
    sources = [resolve_inputs(text, folder / f"from_{number}", file_format) for number, text in enumerate(jets)]
    files = [file for source in sources for file in source]
    options = {"layers": layers, "columns": columns, "settings": settings, "file_format": file_format}
    open_jets = partial(ExternalJets, meta=predictor.model.shards, **options)
    correction = MassCalibration(calibration, model) if calibration else None
    schema = common_schema(files, open_jets, predictor.model.quantiles[::2], correction)
    common = {"model": sha256(model.read_bytes()).hexdigest(), "precision": str(predictor.precision)}
    common |= {"layers": list(layers), "columns": dict(columns), "format": file_format}
    common |= {"calibration": correction.digest} if correction else {}
    parts = [folder / f"{number:05d}.parquet" for number in range(len(files))]
    for file, part in zip(files, parts, strict=True):
        about = common | {"file": str(file.resolve()), "bytes": file.stat().st_size, "time": file.stat().st_mtime_ns}
        if is_written(part, about):
            log_info(f"{file}: predicted before")
            continue
        summary = JetSummary()
        write_part(part, predictions(open_jets(file), predictor, summary, correction), schema, about, summary.dump)
    if training := predictor.model.training:
        total = JetSummary()
        for part in parts:
            total.add(JetSummary.parse(summary_of(part)))
        for line in shift_table(training, total):
            log_info(line)
    if out.suffix == ".root":
        entries = write_friend_tree(
            out, (friend_file(open_jets(file), part) for file, part in zip(files, parts, strict=True))
        )
        log_info(f"{entries:,} entries: {out}")
    else:
        log_info(f"{join_parts(parts, out, schema):,} jets: {out}")
    shutil.rmtree(folder)


def friend_file(jets: ExternalJets, part: Path) -> FriendFile:
    """Return the predictions of one file, in the form of the entries of its tree; `part` is the file of its masses."""
    available = [name for name in ("event", *MASSES) if name in pq.read_schema(part).names]
    table = pq.read_table(part, columns=available, use_threads=False)
    if jets.source.jets_per_entry:
        identifiers = {"event": np.arange(len(jets.source.counts)), **jets.source.identifiers()}
        return FriendFile(identifiers, jets.source.counts, table)
    event = table["event"].to_numpy() if "event" in available else np.arange(len(table))
    return FriendFile({"event": event}, None, table)


def common_schema(
    files: Sequence[Path],
    open_jets: Callable[[Path], ExternalJets],
    quantiles: Sequence[float],
    correction: MassCalibration | None,
) -> pa.Schema:
    """Return the schema of the output of all files.

    Raises:
        BadInput: A file cannot be used, lacks a column of the calibration, or has other columns than the first one.
    """
    first = None
    for file in files:
        columns = open_jets(file).passthrough
        if correction:
            correction.check_columns(columns, file)
        schema = output_schema(columns, quantiles, file, correction is not None)
        first = first or schema
        if not schema.equals(first):
            differences = sorted({str(field) for field in {*first} ^ {*schema}}) or ["their order"]
            raise BadInput(f"{file}: other columns than in {files[0]}: {', '.join(differences)}; predict them apart")
    return first


def predictions(
    jets: ExternalJets, predictor: Predictor, total: JetSummary, correction: MassCalibration | None = None
) -> Iterator[tuple[pa.Table, np.ndarray, np.ndarray | None]]:
    """Yield the passed-through columns, the predictions and the calibrated masses (None without a calibration).

    All jets of a file are predicted, batch by batch, and added to `total`.

    Raises:
        BadInput: A mass is not finite, or (at the end) the distributions of the jets do not fit the model.
    """
    path, training = jets.source.path, predictor.model.training
    for shard, columns, summary in track(jets.shards(), path.stem, "jet", len(jets), lambda parts: len(parts[0])):
        masses = predictor.masses(shard)
        check_finite(masses, path, total.jets)
        summary.numbers["mass"] = Distribution.of(median_prediction(masses), len(masses))
        total.add(summary)
        yield columns, masses, correction.calibrate(median_prediction(masses), columns) if correction else None
    if training and (error := shift_error(training, total)):
        for line in shift_table(training, total):
            log_info(line)
        raise BadInput(f"{path}: {error}")


def named_columns(text: str) -> dict[str, str]:
    """Parse the option `image=pixels,ieta=eta_index`; ValueError for an unknown name."""
    named = dict(pair.split("=", 1) for pair in text.split(","))
    if not named.keys() <= {*MODEL_COLUMNS, *ROOT_QUANTITIES}:
        raise ValueError(text)
    return named


def device_name(text: str) -> str:
    """Return the text if it is a valid device name, else raise ValueError."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise ValueError(text)
    return text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="model.safetensors of a training")
    parser.add_argument("jets", metavar="JETS", nargs="+", help="file, folder of files, or URL")
    parser.add_argument("out", metavar="OUT", type=Path, help="parquet file to write; or *.root, a ROOT file")
    parser.add_argument(
        "--layers", type=lambda text: text.split(","), default=(), metavar="ecal,hcal,…",
        help="layers of the images, in the order of the files; jet tables of topmass record them",
    )  # fmt: skip
    parser.add_argument(
        "--columns", type=named_columns, default={}, metavar="image=pixels,…",
        help=f"columns with other names than {', '.join(sorted(MODEL_COLUMNS))}; branches of ROOT files",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=(PARQUET_FORMAT, *FORMATS), default=PARQUET_FORMAT,
        help="format of the files: parquet (default), or ROOT files with particle-flow candidates",
    )  # fmt: skip
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE.json",
        help="calibration of this model by the rule calibrate, which adds the column 'calibrated'",
    )  # fmt: skip
    parser.add_argument(
        "--device", type=device_name, default="auto", help="cpu, cuda, cuda:1; default: auto, a GPU if there is one"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command with its parsed arguments."""
    # Torch ignores a CPU quota, but respects OMP_NUM_THREADS: use the smaller number.
    torch.set_num_threads(min(torch.get_num_threads(), available_cores()))
    model, jets, out, device = arguments.model, arguments.jets, arguments.out, arguments.device
    if arguments.format == PARQUET_FORMAT and (unknown := sorted(arguments.columns.keys() - MODEL_COLUMNS)):
        raise BadInput(f"--columns names {unknown[0]}, which only ROOT files have; to fix: name their --format")
    more = {"file_format": arguments.format, "calibration": arguments.calibration}
    predict_jets(model, jets, out, arguments.layers, arguments.columns, device, **more)
