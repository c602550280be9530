"""Loading of the configuration: merging, inheritance, coercion and validation.

Everything that can be checked before the first job is checked here. If an output exists, Snakemake ignores a missing
input or an error in an input function. Old results would then be treated as those of the new configuration.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import chain
from pathlib import Path

from topmass.config.coercion import coerce
from topmass.config.config_paths import missing, with_paths
from topmass.config.config_sources import ConfigSource, deep_merge, parse, read_file
from topmass.config.cross_checks import cross_checks
from topmass.config.inheritance import InheritanceError, resolve_inheritance
from topmass.config.predict_config import check_prediction, with_prediction
from topmass.config.schema_validation import validate
from topmass.files import BadInput

REPO_ROOT = Path(__file__).parents[4]
"""Root folder of this repository."""
SCHEMA = parse((REPO_ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))


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
        written = resolve_inheritance(reduce(deep_merge, (layer.content for layer in layers), {}))
        meant = coerce(written, SCHEMA, SCHEMA["$defs"])
        problem = validate(meant, SCHEMA)
        problem = problem and (defining_key(problem[0], meant, layers), problem[1])
        config = {} if problem else with_prediction(with_paths(meant))
        looked = (missing, check_prediction) if look and not problem else ()
        problem = problem or next(chain(cross_checks(config), *(find(meant) for find in looked)), None)
    except InheritanceError as error:
        problem = error.problem
    if problem:
        key, message = problem
        line = f"{source_of(key, layers)}: {'.'.join(key) or 'top level'}: {message}"
        # Keys and names may contain line breaks and other control characters.
        raise BadInput("".join(each if each.isprintable() else repr(each)[1:-1] for each in line))
    return config


def defining_key(key: tuple[str, ...], config: Mapping, layers: Sequence[ConfigSource]) -> tuple[str, ...]:
    """Return the key that a value was inherited from, or the key itself if no layer has it."""
    section, *below = key
    while len(below) > 1:
        if any(has(layer.content, (section, *below)) for layer in layers):
            return (section, *below)
        entry = config.get(section, {}).get(below[0])
        below = [str(entry.get("extends")), *below[1:]] if isinstance(entry, Mapping) and entry.get("extends") else []
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
        if isinstance(content, list) and step.isdecimal() and int(step) < len(content):
            content = content[int(step)]
        elif isinstance(content, Mapping) and step in map(str, content):
            content = next(value for name, value in content.items() if str(name) == step)
        else:
            return False
    return True
