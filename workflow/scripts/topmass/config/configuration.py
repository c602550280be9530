"""Loading of the configuration: merging, inheritance, coercion and validation.

Everything that can be checked before the first job is checked here. If an output exists, Snakemake ignores a missing
input or an error in an input function. Old results would then be treated as those of the new configuration.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import chain
from pathlib import Path
from typing import NoReturn

import yaml

from topmass.config.coercion import NULLS, coerce
from topmass.config.config_paths import missing, with_paths
from topmass.config.config_sources import ConfigSource, deep_merge, read_file
from topmass.config.cross_checks import cross_checks
from topmass.config.network_config import check_networks
from topmass.config.predict_config import check_prediction, with_prediction
from topmass.config.schema_validation import ConfigError, Problem, validate
from topmass.config.sweeps import expand_sweeps
from topmass.files import BadInput

REPO_ROOT = Path(__file__).parents[4]
"""Root folder of this repository."""
SCHEMA = yaml.safe_load((REPO_ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))


def configure(layers: Sequence[ConfigSource], look: bool = True) -> dict:
    """Return the complete, validated configuration.

    Args:
        layers: Configurations merged onto `config.yaml`; later ones take precedence.
        look: Whether the files named in the configuration must exist.

    Raises:
        BadInput: If the configuration is invalid; the message contains source and key.
    """
    layers = [read_file(REPO_ROOT / "config.yaml"), *layers]
    try:
        merged = expand_sweeps(resolve_inheritance(reduce(deep_merge, (layer.content for layer in layers), {})))
        coerced = coerce(merged, SCHEMA, SCHEMA["$defs"])
        if problem := validate(coerced, SCHEMA):
            raise_problem((defining_key(problem[0], coerced, layers), problem[1]), layers)
        config = with_prediction(with_paths(coerced))
        file_checks = (missing, check_networks, check_prediction) if look else ()
        for problem in chain(cross_checks(config), *(check(coerced) for check in file_checks)):
            raise_problem(problem, layers)
    except ConfigError as error:
        raise_problem(error.args[0], layers)
    return config


def raise_problem(problem: Problem, layers: Sequence[ConfigSource]) -> NoReturn:
    """Raise BadInput with the source of a problem."""
    key, message = problem
    line = f"{source_of(key, layers)}: {'.'.join(key) or 'top level'}: {message}"
    # Keys and names may contain line breaks and other control characters.
    raise BadInput("".join(char if char.isprintable() else repr(char)[1:-1] for char in line)) from None


def resolve_inheritance(config: Mapping) -> dict:
    """Return the configuration with the keys of `extends` filled in, and `network: name` as a mapping."""
    resolved = dict(config)
    for section in ("samples", "datasets", "experiments"):
        if isinstance(entries := config.get(section), Mapping):
            resolved[section] = {name: inherit(section, entries, (name,)) for name in entries}
    return resolved


def inherit(section: str, entries: Mapping, names: tuple[str, ...]) -> object:
    """Return the last entry of a chain with its inherited keys; each entry of `names` extends the next one.

    Raises:
        ConfigError: If an entry extends an unknown one or itself.
    """
    entry = entries[names[-1]]
    if not isinstance(entry, Mapping):
        return entry
    if entry.get("extends") not in (None, *NULLS):
        base, key = str(entry["extends"]), (section, names[-1], "extends")
        if base not in entries:
            raise ConfigError((key, f"there is no '{base}'; known are {', '.join(entries)}"))
        if base in names:
            raise ConfigError((key, f"goes round in a circle: {' extends '.join((*names, base))}"))
        entry = deep_merge(inherit(section, entries, (*names, base)), entry)
    # A mapping, so that the coercion can add the defaults of the network.
    return entry | {"network": {"name": entry["network"]}} if isinstance(entry.get("network"), str) else entry


def defining_key(key: tuple[str, ...], config: Mapping, layers: Sequence[ConfigSource]) -> tuple[str, ...]:
    """Return the key that a value was inherited from, or the key itself if no layer has it."""
    section, *rest = key
    while len(rest) > 1:
        if any(has(layer.content, (section, *rest)) for layer in layers):
            return (section, *rest)
        entry = config.get(section, {}).get(rest[0])
        rest = [str(entry.get("extends")), *rest[1:]] if isinstance(entry, Mapping) and entry.get("extends") else []
    return key


def source_of(key: tuple[str, ...], layers: Sequence[ConfigSource]) -> str:
    """Return the source of a key, or of its nearest parent that a layer contains."""
    for length in range(len(key), 0, -1):
        for layer in reversed(layers):
            if has(layer.content, key[:length]):
                return layer.source
    return layers[-1].source


def has(content: object, key: tuple[str, ...]) -> bool:
    """Return whether a configuration contains this key, or a scalar at one of its parents."""
    for step in key:
        if not isinstance(content, list | Mapping):
            return True
        items = enumerate(content) if isinstance(content, list) else content.items()
        children = {str(name): value for name, value in items}
        if step not in children:
            return False
        content = children[step]
    return True
