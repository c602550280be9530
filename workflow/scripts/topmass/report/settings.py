"""Settings of trained networks, as recorded in training.json."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from topmass.report.tables import report_parse_errors
from topmass.report.training_tables import read_training


def read_config(training: Path) -> dict:
    """Return the configuration of a training.json; BadInput if it has no experiment with its dataset and sample."""
    config = read_training(training, ["config"])["config"]
    with report_parse_errors(training, "about a training"):
        experiments_of(config), configured_inputs(config)
    return config


def merge(configs: Sequence[Mapping]) -> dict:
    """Return one configuration with all experiments, datasets and samples of several."""
    names = {kind for config in configs for kind in config}
    return {kind: {key: value for config in configs for key, value in config.get(kind, {}).items()} for kind in names}


def setting_differences(config: Mapping, default: Mapping) -> list[list[str]]:
    """Return key, value in `default` and value in `config` as text for each setting of `config` that differs."""
    expected = dict(leaves(default))
    return [[key, expected.get(key, ""), value] for key, value in leaves(config) if expected.get(key, "") != value]


def leaves(content: object, key: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield full key and value of all settings; a list without mappings is one setting."""
    if isinstance(content, Mapping) and content:
        for name, value in content.items():
            yield from leaves(value, (*key, str(name)))
    elif isinstance(content, list) and any(isinstance(item, Mapping) for item in content):
        for i, item in enumerate(content):
            yield from leaves(item, (*key, str(i)))
    else:
        yield ".".join(key), content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def experiments_of(config: Mapping) -> dict[str, dict]:
    """Return `network`, `epochs`, `sample` and `layers` for each experiment."""
    experiments = {}
    for name, experiment in config["experiments"].items():
        dataset = config["datasets"][experiment["dataset"]]
        network = experiment["network"]
        entry = {"network": network.get("class", network["name"]), "epochs": experiment["recipe"]["epochs"]}
        experiments[name] = entry | {"sample": dataset["sample"], "layers": dataset["layers"]}
    return experiments


def configured_inputs(config: Mapping) -> list[dict]:
    """Return a row for each file of the samples and each simulated sample.

    The keys are `sample`, `source`, the configured `checksum`, the path of the `download` in the results folder and the
    settings of the `simulation`. The last three are None where they do not apply.
    """
    rows = []
    for name, sample in config["samples"].items():
        row = {"sample": name, "source": None, "checksum": None, "download": None, "simulation": None}
        for file in sample.get("files", []):
            download = f"download/{name}/{file['name']}" if "url" in file else None
            source, checksum = file.get("url") or file["path"], file.get("checksum")
            rows.append(row | {"source": source, "checksum": checksum, "download": download})
        if "files" not in sample:
            source = f"{sample['jets']:,} jets simulated with seed {sample['seed']}"
            rows.append(row | {"source": source, "simulation": list(leaves(sample["simulate"]))})
    return rows
