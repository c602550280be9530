"""What can be wrong with a configuration: first its form, by the schema, then what a schema cannot say."""

import copy
import difflib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

SAFE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""Of a file that is saved: it cannot climb out of its folder."""
Problem = tuple[tuple[str, ...], str]
"""The path of a key and what is wrong with its value."""


def find_problem(config: Mapping, schema_file: Path) -> Problem | None:
    """The first problem of a configuration, or None."""
    schema = yaml.safe_load(schema_file.read_text())
    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is not None:
        return explain(error)
    return next(contradictions(config), None)


def fill_in(config: MutableMapping, schema_file: Path) -> None:
    """Give the samples of files the schema's defaults for what they leave out."""
    known = yaml.safe_load(schema_file.read_text())["$defs"]["sample_of_files"]["properties"]
    for sample in config["samples"].values():
        if "files" in sample:
            for key, about in known.items():
                if "default" in about:
                    sample.setdefault(key, copy.deepcopy(about["default"]))


def file_name(file: Mapping) -> str:
    """The name that a file is saved by: its own, else the last part of the URL's path."""
    return file.get("name") or unquote(urlsplit(file["url"]).path).rsplit("/", 1)[-1]


def explain(error: ValidationError) -> Problem:
    """A schema's complaint, put so that it says what to do."""
    key = tuple(str(step) for step in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        wrong = sorted(set(error.instance) - set(known))[0]
        close = difflib.get_close_matches(wrong, known, 1)
        return (
            *key,
            wrong,
        ), f"no such key; {f'did you mean {close[0]!r}?' if close else 'there are ' + ', '.join(known)}"
    message = error.message
    if error.validator == "type" and isinstance(error.instance, str) and reads_as_number(error.instance):
        message += "; YAML takes numbers like 1e-5 for text, write 1.0e-5"
    about = error.schema.get("description")
    if error.validator == "pattern" and about:
        return key, f"{error.instance!r} does not fit: {about[0].lower()}{about[1:].rstrip('.')}"
    return key, f"{message} ({about})" if about else message


def reads_as_number(text: str) -> bool:
    """Whether Python, though not YAML, takes this text for a number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def contradictions(config: Mapping) -> Iterator[Problem]:
    """Values that are well formed each, and cannot be meant together."""
    for name, sample in config["samples"].items():
        if "files" in sample:
            yield from wrong_files(("samples", name, "files"), sample["files"])
            continue
        generator = sample["simulate"]["generator"]
        for quantity in ("mass", "pt"):
            yield from ascending(("samples", name, "simulate", "generator", quantity), generator[quantity])
    for name, dataset in config["datasets"].items():
        here = ("datasets", name)
        yield from exists((*here, "sample"), dataset["sample"], config["samples"])
        layers = config["samples"][dataset["sample"]].get("layers") or dataset["layers"]
        for i, layer in enumerate(dataset["layers"]):
            if layer not in layers:
                yield (*here, "layers", str(i)), f"the sample '{dataset['sample']}' has {', '.join(layers)} only"
        total = sum(dataset["split"].values())
        if not math.isclose(total, 1, abs_tol=1e-9):
            yield (*here, "split"), f"fractions add up to {total:g}, not to 1"
        for quantity in ("mass", "pt"):
            yield from ascending((*here, "unbias", quantity, "range"), dataset["unbias"][quantity]["range"])
        for layer in sorted(set(dataset["scales"]) - set(dataset["layers"])):
            yield (*here, "scales", layer), "a scale for a layer that is not in 'layers'"
    for name, experiment in config["experiments"].items():
        yield from exists(("experiments", name, "dataset"), experiment["dataset"], config["datasets"])
        recipe = experiment["recipe"]
        if recipe.get("schedule") == "cosine" and recipe.get("warmup_epochs", 1) >= recipe["epochs"]:
            yield ("experiments", name, "recipe", "warmup_epochs"), "the warm-up must end before the last epoch does"
    for i, name in enumerate(config["run"]["experiments"]):
        yield from exists(("run", "experiments", str(i)), name, config["experiments"])
    if config["compute"]["processes"] > 1 and config["compute"]["device"].startswith("cuda:"):
        yield ("compute", "device"), "several processes take the first GPUs: write cuda"
    yield from ascending(("evaluate", "mass_bins"), config["evaluate"]["mass_bins"])


def wrong_files(key: tuple[str, ...], files: Sequence[Mapping]) -> Iterator[Problem]:
    """Files that are neither on this disk nor to be had, that cannot be saved, or that are there twice."""
    for i, file in enumerate(files):
        here = (*key, str(i))
        if ("url" in file) == ("path" in file):
            yield here, "give a file either a url, to download it, or a path, to read it where it lies"
        elif "path" in file:
            only_url = sorted(set(file) - {"path"})
            if only_url:
                yield (*here, only_url[0]), "goes with a url, not with a path"
        elif not re.fullmatch(SAFE_NAME, file_name(file)):
            yield here, f"cannot be saved as '{file_name(file)}'; give the file a 'name' of letters, digits, _, . and -"
    for what in ("url", "path", "checksum"):
        twice = first_repeated([file.get(what) for file in files])
        if twice is not None:
            yield (*key, str(twice), what), "is that of an earlier file: no jet may be in a sample twice"
    twice = first_repeated([file_name(file) if "url" in file else None for file in files])
    if twice is not None:
        yield (*key, str(twice)), f"would be saved as '{file_name(files[twice])}' like an earlier one; give it a 'name'"


def first_repeated(values: Sequence[str | None]) -> int | None:
    """Index of the first value, other than None, that has been there before."""
    return next((i for i, value in enumerate(values) if value is not None and value in values[:i]), None)


def ascending(key: tuple[str, ...], values: list[float]) -> Iterator[Problem]:
    """A problem unless each value is above the one before it."""
    for low, high in itertools.pairwise(values):
        if low >= high:
            yield key, f"{low:g} comes before {high:g}: give the smaller value first"


def exists(key: tuple[str, ...], name: str, known: Mapping) -> Iterator[Problem]:
    """A problem unless the name is known."""
    if name not in known:
        yield key, f"there is no '{name}'; known are {', '.join(known)}"


def source_of(key: tuple[str, ...], config: Mapping, files: Sequence[str | Path]) -> str:
    """Where a key has its value from: the configuration file that wins, or the command line."""
    *overlays, default = files
    for file in (*reversed(overlays), default):
        found = value_at(key, yaml.safe_load(Path(file).read_text()))
        # A part of a section is enough: the files are merged.
        if found is not None and (isinstance(found, dict) or found == value_at(key, config)):
            return str(file)
    return "--config"


def value_at(key: tuple[str, ...], content: object) -> object:
    """What a configuration has at this key; None if nothing."""
    for step in key:
        if isinstance(content, list) and step.isdecimal():
            content = dict(enumerate(content)).get(int(step))
        else:
            content = content.get(step) if isinstance(content, dict) else None
    return content
