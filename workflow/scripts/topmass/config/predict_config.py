"""Section `predict` of the configuration: model, jets and output file."""

import os
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import PurePosixPath
from urllib.parse import unquote

from topmass.config.config_paths import display_path, path_error
from topmass.config.schema_validation import Problem
from topmass.io.locations import ending_of, expand_variables, glob_paths

DOWNLOADS = "predict"
"""Name of the sample that contains the jets to predict from URLs."""
DEFAULT_OUTPUT = "results/predicted/jets.parquet"
LONGEST = 60
"""Most characters of a label, so that a file name with suffixes stays within the limit of file systems."""


def with_prediction(config: Mapping) -> dict:
    """Return the configuration with a complete section `predict`.

    Each entry of `jets` becomes a mapping with a `sample`, a `path` or a `url`. The path of the model is expanded, and
    `masses` is the output file. Jets from URLs form a sample, so that they are downloaded like files of other samples.
    """
    prediction, samples = config["predict"], config["samples"]
    if prediction is None:
        return dict(config)
    model, names = prediction["model"], listed(prediction["jets"])
    is_trained = is_trained_here(model, config)
    file = names[0] if len(names) == 1 and names[0] in samples else label(*names)
    masses = os.path.join("results/predicted", model if is_trained else label(model), f"{file}.parquet")
    jets = [entry for name in names for entry in entries(name, config)]
    if downloads := [entry for entry in jets if "url" in entry]:
        samples = {**samples, DOWNLOADS: {"files": downloads, "blocks_per_file": 1, "format": prediction["format"]}}
    model = model if is_trained else glob_paths(model)[0]
    return {**config, "samples": samples, "predict": {**prediction, "model": model, "jets": jets, "masses": masses}}


def listed(jets: str | list[str]) -> list[str]:
    """Return one or several entries as a list."""
    return [jets] if isinstance(jets, str) else jets


def entries(jets: str, config: Mapping) -> list[dict]:
    """Return the entries of a sample's name, a URL, a file or a folder."""
    if jets in config["samples"]:
        return [{"sample": jets}]
    if "://" in jets:
        # The label contains a hash, because two URLs may have the same end.
        return [{"url": jets, "name": f"{label(jets)}{ending_of(config['predict']['format'])}"}]
    return [{"path": path} for path in glob_paths(jets, config["predict"]["format"])]


def is_trained_here(model: str, config: Mapping) -> bool:
    """Return whether a model is given as EXPERIMENT/SEED."""
    experiment, _, seed = model.partition("/")
    return experiment in config["experiments"] and re.fullmatch(r"0|[1-9]\d*", seed) is not None


def check_prediction(config: Mapping) -> Iterator[Problem]:
    """Yield missing models and jets in a configuration before `with_prediction`."""
    prediction = config["predict"]
    if prediction is None:
        return
    model = prediction["model"]
    if not is_trained_here(model, config) and (error := path_error(glob_paths(model)[0])):
        alternatives = f"nor is it EXPERIMENT/SEED of {', '.join(config['experiments'])}"
        yield ("predict", "model"), f"{display_path(model)}: {error}, {alternatives}"
    calibration = prediction["calibration"]
    if calibration is not None and (error := path_error(expand_variables(calibration))):
        yield ("predict", "calibration"), f"{display_path(calibration)}: {error}"
    for entry in (entry for name in listed(prediction["jets"]) for entry in entries(name, config)):
        if "sample" in entry and prediction["format"] != "parquet":
            problem = f"the jets of the sample '{entry['sample']}' are jet tables; expected parquet for a sample"
            yield ("predict", "format"), problem
        if "path" in entry and (error := path_error(entry["path"], prediction["format"])):
            alternatives = f"nor a sample of this name among {', '.join(config['samples'])}"
            yield ("predict", "jets"), f"{display_path(entry['path'])}: {error}, {alternatives}"
        if "url" in entry and DOWNLOADS in config["samples"]:
            yield ("samples", DOWNLOADS), "the jets behind the URLs of 'predict' are to have this name: rename it"


def file_of_masses(config: Mapping) -> str:
    """Return the output file of a configuration from `with_prediction`."""
    return DEFAULT_OUTPUT if config["predict"] is None else config["predict"]["masses"]


def label(*locations: str) -> str:
    """Return the end of the first path or URL, safe for file names, with a hash of all of them.

    The hash keeps outputs apart: without it, URLs or paths with the same end would overwrite each other.
    """
    expanded = [path if "://" in path else os.path.normpath(expand_variables(path)) for path in locations]
    # A URL's host and query are omitted: they may contain a password.
    url = re.fullmatch(r"[^:]+://[^/]*([^?#]*).*", expanded[0])
    path = PurePosixPath(unquote(url[1]) if url else expanded[0])
    words = "_".join([*path.parent.parts, path.stem][-2:])
    # Only characters without special meaning for Snakemake, shells and file systems.
    safe = re.sub(r"[^A-Za-z0-9.-]", "_", words).strip("._-")[-LONGEST:].lstrip("._-")
    return f"{safe or 'jets'}-{sha256(chr(0).join(expanded).encode()).hexdigest()[:8]}"
