"""The one place where a configuration is read: merged, taken as it is meant, and refused if it cannot be met.

All that can be known before the first job is held here. Snakemake itself passes over a missing input, and an error in
an input function, wherever the output is there already: old results would pass for those of the new configuration.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import chain
from pathlib import Path

from topmass.files import BadInput
from topmass.workflow.checking import misfit
from topmass.workflow.contradictions import contradictions
from topmass.workflow.likeness import NotAlike, with_likenesses
from topmass.workflow.meaning import as_meant
from topmass.workflow.paths import missing, with_paths
from topmass.workflow.predicting import unpredictable, with_prediction
from topmass.workflow.reading import Layer, merged, parse, read_file

HOUSE = Path(__file__).parents[4]
"""This repository."""
SCHEMA = parse((HOUSE / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))


def configure(layers: Sequence[Layer], look: bool = True) -> dict:
    """The configuration that these layers make on top of `config.yaml`, the last one winning; complete and checked.

    Unless `look` is false the files that it names have to be there. BadInput names source and key of what is wrong.
    """
    layers = [read_file(HOUSE / "config.yaml"), *layers]
    try:
        written = with_likenesses(reduce(merged, (layer.content for layer in layers), {}))
        meant = as_meant(written, SCHEMA, SCHEMA["$defs"])
        problem = misfit(meant, SCHEMA)
        config = {} if problem else with_prediction(with_paths(meant))
        looked = (missing, unpredictable) if look and not problem else ()
        problem = problem or next(chain(contradictions(config), *(find(meant) for find in looked)), None)
    except NotAlike as error:
        problem = error.problem
    if problem:
        key, message = problem
        line = f"{source_of(key, layers)}: {'.'.join(key) or 'top level'}: {message}"
        # Keys and names may hold whatever breaks a line.
        raise BadInput("".join(each if each.isprintable() else repr(each)[1:-1] for each in line))
    return config


def source_of(key: tuple[str, ...], layers: Sequence[Layer]) -> str:
    """Where a key, or else the part of the configuration that it belongs to, has its value from."""
    for length in range(len(key), 0, -1):
        for layer in reversed(layers):
            if has(layer.content, key[:length]):
                return layer.source
    return layers[-1].source


def has(content: object, key: tuple[str, ...]) -> bool:
    """Whether a configuration says something of this key, or has a single value where the key is deeper."""
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
