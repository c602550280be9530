"""What can be wrong with a configuration: first its form, by the schema, then what a schema cannot say."""

import difflib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

Problem = tuple[tuple[str, ...], str]
"""The path of a key and what is wrong with its value."""


def find_problem(config: Mapping, schema_file: Path) -> Problem | None:
    """The first problem of a configuration, or None."""
    schema = yaml.safe_load(schema_file.read_text())
    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is not None:
        return explain(error)
    return next(contradictions(config), None)


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
        generator = sample["simulate"]["generator"]
        for quantity in ("mass", "pt"):
            yield from ascending(("samples", name, "simulate", "generator", quantity), generator[quantity])
    for name, dataset in config["datasets"].items():
        here = ("datasets", name)
        yield from exists((*here, "sample"), dataset["sample"], config["samples"])
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
