"""What the page tells of a run that stands in the configuration and in the environments of its stages."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from topmass.sources.remote import shown
from topmass.workflow.contradictions import file_name
from topmass.workflow.reading import read_file

NOT_THERE = ""


def differences(config: Mapping, default: Mapping) -> list[list[str]]:
    """Key, value in `default` and value in `config` of each setting that differs, as text."""
    here, there = dict(leaves(config)), dict(leaves(default))
    keys = [*here, *(key for key in there if key not in here)]
    return [
        [key, there.get(key, NOT_THERE), here.get(key, NOT_THERE)] for key in keys if here.get(key) != there.get(key)
    ]


def leaves(content: object, key: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """All settings in a part of a configuration, by their whole key; a list is one unless it holds more keys.

    URLs are without what may be a secret in them.
    """
    if isinstance(content, Mapping) and content:
        for name, value in content.items():
            yield from leaves(value, (*key, str(name)))
    elif isinstance(content, list) and any(isinstance(item, Mapping) for item in content):
        for i, item in enumerate(content):
            yield from leaves(item, (*key, str(i)))
    else:
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        yield ".".join(key), shown(text) if "://" in text else text


def experiments_of(config: Mapping) -> dict[str, dict]:
    """Of each experiment that is to be run: `network` and `epochs`, `sample` and `layers` of its dataset."""
    found = {}
    for name in config["run"]["experiments"]:
        experiment = config["experiments"][name]
        dataset = config["datasets"][experiment["dataset"]]
        found[name] = {"network": experiment["network"]["name"], "epochs": experiment["recipe"]["epochs"]}
        found[name] |= {"sample": dataset["sample"], "layers": dataset["layers"]}
    return found


def inputs_of(config: Mapping, samples: Sequence[str]) -> list[dict]:
    """A row for each file of these samples, or for the simulation of one: `sample`, `source`, and what is known of it.

    That is the `checksum` that is asked for, the place of a `download` among the results, and the settings of a
    `simulation`; None where there is none.
    """
    unknown = {"checksum": None, "download": None, "simulation": None}
    found = []
    for name in samples:
        sample = config["samples"][name]
        for file in sample.get("files", []):
            about = {"source": shown(file["url"]) if "url" in file else file["path"], "checksum": file.get("checksum")}
            about["download"] = f"download/{name}/{file_name(file)}" if "url" in file else None
            found.append({"sample": name, **unknown, **about})
        if "files" not in sample:
            about = {"source": f"{sample['jets']:,} jets simulated with seed {sample['seed']}"}
            found.append({"sample": name, **unknown, **about, "simulation": list(leaves(sample["simulate"]))})
    return found


def packages(environments: Sequence[Path]) -> dict[str, str]:
    """Each package of these environments, with its version."""
    pins = {pin for file in environments for pin in read_file(file).content["dependencies"][2]["pip"]}
    return dict(pin.split("==") for pin in sorted(pins))
