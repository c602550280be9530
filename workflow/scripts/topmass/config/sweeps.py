"""Experiments with lists of settings: one experiment per combination."""

import re
from collections.abc import Mapping
from itertools import product

from topmass.config.config_sources import deep_merge
from topmass.config.schema_validation import ConfigError


def expand_sweeps(config: Mapping) -> dict:
    """Return a configuration in which each experiment with a `sweep` is replaced by its combinations.

    They also replace it in the list of the run.

    Raises:
        ConfigError: Two experiments would have the same name.
    """
    experiments, run = config.get("experiments"), config.get("run")
    if not isinstance(experiments, Mapping):
        return dict(config)
    combined = {name: combinations(name, entry) for name, entry in experiments.items()}
    expanded: dict = {}
    for name, entries in combined.items():
        if repeated := expanded.keys() & entries.keys():
            problem = f"there would be two experiments '{min(repeated)}'; to fix: rename this one, or change its values"
            raise ConfigError((("experiments", name, "sweep"), problem))
        expanded |= entries
    config = {**config, "experiments": expanded}
    if isinstance(run, Mapping) and isinstance(run.get("experiments"), list):
        listed = [made for name in run["experiments"] for made in combined.get(str(name), [name])]
        config["run"] = {**run, "experiments": listed}
    return config


def combinations(name: str, entry: object) -> dict:
    """Return the experiments of one entry by name: one per combination of its `sweep`, or the entry itself.

    A `sweep` that is no mapping of lists stays, so that the schema rejects it.

    Raises:
        ConfigError: Two combinations would have the same name.
    """
    sweep = entry.get("sweep") if isinstance(entry, Mapping) else None
    if not isinstance(sweep, Mapping) or not all(isinstance(values, list) and values for values in sweep.values()):
        return {name: entry}
    # Without `extends`: an error in a value of the list does not belong to the inherited entry.
    common = {key: value for key, value in entry.items() if key not in ("sweep", "extends")}
    entries: dict = {}
    for values in product(*sweep.values()):
        combined, label = common, name
        for key, value in zip(sweep, values, strict=True):
            *steps, last = key.split(".")
            nested = {last: {"name": value} if key == "network" and isinstance(value, str) else value}
            for step in reversed(steps):
                nested = {step: nested}
            combined = deep_merge(combined, nested)
            label += f"-{last}_{label_of(value)}"
        if label in entries:
            problem = f"two combinations would have the name '{label}'; to fix: remove or change one of the values"
            raise ConfigError((("experiments", name, "sweep"), problem))
        entries[label] = combined
    return entries


def label_of(value: object) -> str:
    """Return a value as part of the name of an experiment; other characters than letters, digits and - become _."""
    if isinstance(value, Mapping):
        return "-".join(label_of(inner) for inner in value.values())
    text = "-".join(map(label_of, value)) if isinstance(value, list) else str(value)
    return re.sub(r"[^A-Za-z0-9-]", "_", text)
