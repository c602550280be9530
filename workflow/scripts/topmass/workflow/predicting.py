"""What `predict` of a configuration asks for: by which model, of which jets, and where the masses go."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from topmass.sources.places import expanded
from topmass.workflow.checking import Problem
from topmass.workflow.contradictions import file_name
from topmass.workflow.paths import shown, what_is_wrong

DOWNLOADS = "predict"
"""The sample that the jets behind URLs are in, which are to be predicted."""
UNASKED = "results/predicted/jets.parquet"


def with_prediction(config: Mapping) -> dict:
    """The configuration with each entry of the jets to be predicted a `sample`, a `path` or a `url`, and a real model.

    Those with URLs become a sample, so that they are downloaded as the files of samples are.
    """
    asked = config["predict"]
    if asked is None:
        return dict(config)
    jets = [entry for each in listed(asked["jets"]) for entry in entries(each, config)]
    model = asked["model"] if is_trained_here(asked["model"], config) else expanded(asked["model"])[0]
    samples, downloads = config["samples"], [entry for entry in jets if "url" in entry]
    if downloads:
        samples = {**samples, DOWNLOADS: {"files": downloads, "blocks_per_file": 1}}
    return {**config, "samples": samples, "predict": {**asked, "model": model, "jets": jets}}


def listed(jets: str | list[str]) -> list[str]:
    """One or several, as a list."""
    return [jets] if isinstance(jets, str) else jets


def entries(jets: str, config: Mapping) -> list[dict]:
    """What is meant by the name of a sample, a URL, a file or a folder."""
    if jets in config["samples"]:
        return [{"sample": jets}]
    return [{"url": jets}] if "://" in jets else [{"path": path} for path in expanded(jets)]


def is_trained_here(model: str, config: Mapping) -> bool:
    """Whether a model is named by its experiment and seed."""
    experiment, _, seed = model.partition("/")
    return experiment in config["experiments"] and re.fullmatch(r"0|[1-9]\d*", seed) is not None


def unpredictable(config: Mapping) -> Iterator[Problem]:
    """Models and jets, in a configuration as it was written, that are not there."""
    asked = config["predict"]
    if asked is None:
        return
    if not is_trained_here(asked["model"], config) and (trouble := what_is_wrong(expanded(asked["model"])[0])):
        known = f"nor is it EXPERIMENT/SEED of {', '.join(config['experiments'])}"
        yield ("predict", "model"), f"{shown(asked['model'])}: {trouble}, {known}"
    for each in listed(asked["jets"]):
        for entry in entries(each, config):
            if "path" in entry and (trouble := what_is_wrong(entry["path"])):
                known = f"nor a sample of this name among {', '.join(config['samples'])}"
                yield ("predict", "jets"), f"{shown(entry['path'])}: {trouble}, {known}"
            if "url" in entry and DOWNLOADS in config["samples"]:
                yield ("samples", DOWNLOADS), "the jets behind the URLs of 'predict' are to have this name: rename it"


def file_of_masses(config: Mapping) -> str:
    """Where the masses go: by experiment and seed or the name of the model's file, and the first name of the jets."""
    asked = config["predict"]
    if asked is None:
        return UNASKED
    model = asked["model"] if is_trained_here(asked["model"], config) else in_path(Path(asked["model"]).stem)
    first = asked["jets"][0]
    name = first.get("sample") or Path(file_name(first) if "url" in first else first["path"]).stem
    return os.path.join("results/predicted", model, f"{in_path(name)}.parquet")


def in_path(name: str) -> str:
    """A name with nothing in it that Snakemake or a shell takes for something else."""
    return re.sub(r"[^\w.-]", "_", name)
