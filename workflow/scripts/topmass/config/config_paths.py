"""Local files named in the configuration: expansion and existence."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from topmass.config.schema_validation import Problem
from topmass.io.glob_paths import PART_PATTERN, glob_paths


def with_paths(config: Mapping) -> dict:
    """Return the configuration with `~` and environment variables expanded, and each folder replaced by its parts."""
    samples = dict(config["samples"])
    for name, files in input_paths(config):
        parts = (
            [{**file, "path": part} for part in glob_paths(file["path"])] if "path" in file else [file]
            for file in files
        )
        samples[name] = samples[name] | {"files": list(chain.from_iterable(parts))}
    return {**config, "samples": samples}


def input_paths(config: Mapping) -> Iterator[tuple[str, Sequence[Mapping]]]:
    """Return name and files of each sample with files."""
    return ((name, sample["files"]) for name, sample in config["samples"].items() if "files" in sample)


def missing(config: Mapping) -> Iterator[Problem]:
    """Yield a problem for each unreadable path in a configuration before `with_paths`."""
    for name, files in input_paths(config):
        for i, file in enumerate(files):
            for place in glob_paths(file["path"]) if "path" in file else []:
                trouble = path_error(place)
                if trouble:
                    yield ("samples", name, "files", str(i), "path"), f"{display_path(place)}: {trouble}"


def display_path(place: str) -> str:
    """Return a path for messages; a relative one with the working directory."""
    return place if os.path.isabs(place) or "://" in place else f"{place} (in {os.getcwd()})"


def path_error(place: str) -> str | None:
    """Return why no file can be read at this path; None if it is readable."""
    if re.match(r"\w+://", place):
        return "this is a URL; give it as 'url'"
    variable = re.search(r"\$(\w+|\{\w+\})", place)
    if os.path.isdir(place):
        return f"a folder without any {PART_PATTERN}"
    if os.path.exists(place):
        return None if os.access(place, os.R_OK) else "there is no right to read this file"
    if variable:
        return f"no such file, and no variable {variable[0]} in the environment"
    several = "; for several files give their folder, or an entry for each" if re.search(r"[*?]", place) else ""
    return f"no such file{several}"
