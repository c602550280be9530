"""Configuration and package versions recorded in the outputs of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.config.config_sources import read_file
from topmass.config.cross_checks import file_name
from topmass.io.urls import redact_url


def config_of(config: Mapping, experiment: str) -> dict:
    """Return the part of a configuration that an experiment depends on: its settings, dataset and sample.

    User, password and query are removed from URLs. Each downloaded file has the name under which it is saved.
    """
    settings = config["experiments"][experiment]
    dataset = config["datasets"][settings["dataset"]]
    sample = dict(config["samples"][dataset["sample"]])
    if "files" in sample:
        sample["files"] = [
            file | ({"url": redact_url(file["url"]), "name": file_name(file)} if "url" in file else {})
            for file in sample["files"]
        ]
    return {
        "experiments": {experiment: settings},
        "datasets": {settings["dataset"]: dataset},
        "samples": {dataset["sample"]: sample},
    }


def pinned_packages(environments: Sequence[Path]) -> dict[str, str]:
    """Return the pinned version of each pip package in these environment files."""
    pins = {pin for file in environments for pin in read_file(file).content["dependencies"][2]["pip"]}
    return dict(pin.split("==") for pin in sorted(pins))
