"""Local files named in the configuration: expansion and existence."""

import os
import re
from collections.abc import Iterator, Mapping

from topmass.config.schema_validation import Problem
from topmass.io.locations import ending_of, expand_variables, glob_paths


def with_paths(config: Mapping) -> dict:
    """Return the configuration with `~` and environment variables expanded, and each folder replaced by its parts."""
    samples = dict(config["samples"])
    for name, sample in samples.items():
        if "files" in sample:
            files = [
                {**file, "path": part} if "path" in file else file
                for file in sample["files"]
                for part in (glob_paths(file["path"], sample["format"]) if "path" in file else [None])
            ]
            samples[name] = sample | {"files": files}
    experiments = {
        name: with_expanded(experiment, "start_from") | {"network": with_expanded(experiment["network"], "file")}
        for name, experiment in config["experiments"].items()
    }
    return {**config, "samples": samples, "experiments": experiments}


def with_expanded(entry: Mapping, key: str) -> dict:
    """Return an entry of the configuration, with the path at this key expanded if there is one."""
    return {**entry, key: expand_variables(entry[key])} if entry.get(key) else dict(entry)


def missing(config: Mapping) -> Iterator[Problem]:
    """Yield a problem for each unreadable path in a configuration before `with_paths`."""
    for name, sample in config["samples"].items():
        for i, file in enumerate(sample.get("files", [])):
            for path in glob_paths(file["path"], sample["format"]) if "path" in file else []:
                if error := path_error(path, sample["format"]):
                    yield ("samples", name, "files", str(i), "path"), f"{display_path(path)}: {error}"
    for name, experiment in config["experiments"].items():
        if start := experiment["start_from"]:
            path = expand_variables(start)
            if error := path_error(path):
                yield ("experiments", name, "start_from"), f"{display_path(path)}: {error}"


def display_path(path: str) -> str:
    """Return a path for messages; a relative one with the working directory."""
    return path if os.path.isabs(path) or "://" in path else f"{path} (in {os.getcwd()})"


def path_error(path: str, file_format: str = "parquet") -> str | None:
    """Return why no file of this format can be read at this path; None if it is readable."""
    if re.match(r"\w+://", path):
        return "this is a URL; give it as 'url'"
    if os.path.isdir(path):
        return f"a folder without any *{ending_of(file_format)}"
    if os.path.exists(path):
        return None if os.access(path, os.R_OK) else "there is no right to read this file"
    if variable := re.search(r"\$(\w+|\{\w+\})", path):
        return f"no such file, and no variable {variable[0]} in the environment"
    several = "; for several files give their folder, or an entry for each" if re.search(r"[*?]", path) else ""
    return f"no such file{several}"
