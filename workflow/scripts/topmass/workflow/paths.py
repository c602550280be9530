"""Files of this machine that a configuration names: where they are, and whether they are there."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from topmass.sources.places import PARTS, expanded
from topmass.workflow.checking import Problem


def with_paths(config: Mapping) -> dict:
    """The configuration with `~` and variables of the environment filled in, and each folder replaced by its parts."""
    samples = dict(config["samples"])
    for name, files in files_of(config):
        parts = (
            [{**file, "path": part} for part in expanded(file["path"])] if "path" in file else [file] for file in files
        )
        samples[name] = samples[name] | {"files": list(chain.from_iterable(parts))}
    return {**config, "samples": samples}


def files_of(config: Mapping) -> Iterator[tuple[str, Sequence[Mapping]]]:
    """The files of each sample that has some, with its name."""
    return ((name, sample["files"]) for name, sample in config["samples"].items() if "files" in sample)


def missing(config: Mapping) -> Iterator[Problem]:
    """Paths of files, in a configuration as it was written, that lead to nothing that can be read."""
    for name, files in files_of(config):
        for i, file in enumerate(files):
            for place in expanded(file["path"]) if "path" in file else []:
                trouble = what_is_wrong(place)
                if trouble:
                    yield ("samples", name, "files", str(i), "path"), f"{shown(place)}: {trouble}"


def shown(place: str) -> str:
    """A place as messages show it: where it was looked for, if it is relative."""
    return place if os.path.isabs(place) or "://" in place else f"{place} (in {os.getcwd()})"


def what_is_wrong(place: str) -> str | None:
    """Why there is no file to be read at this place; None if there is one."""
    if re.match(r"\w+://", place):
        return "this is a URL; give it as 'url'"
    variable = re.search(r"\$(\w+|\{\w+\})", place)
    if os.path.isdir(place):
        return f"a folder without any {PARTS}"
    if os.path.exists(place):
        return None if os.access(place, os.R_OK) else "there is no right to read this file"
    if variable:
        return f"no such file, and no variable {variable[0]} in the environment"
    several = "; for several files give their folder, or an entry for each" if re.search(r"[*?]", place) else ""
    return f"no such file{several}"
