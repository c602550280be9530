"""Configurations read from YAML and put on top of each other; a key that is there twice is refused.

The YAML is that of version 1.2, in which `2.0e6` is a number, `on` a text and `012` twelve. Libraries that know it by
themselves do not come with Snakemake, and a workflow is started with no more than Snakemake: so PyYAML is told.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import yaml

from topmass.files import BadInput

SCALARS = {
    "null": "null|Null|NULL|~|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?[0-9]+(_[0-9]+)*|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": "<<",
}
"""What is not text: the core schema of YAML 1.2.2, section 10.3.2; and of 1.1 the merge key, and 2_000_000."""


class Layer(NamedTuple):
    """Part of a configuration, and the file, or what else, that it comes from."""

    source: str
    content: Mapping


class Loader(yaml.SafeLoader):
    """Reads YAML 1.2. Keys are text, as they are written; one that is there twice is refused with both of its lines."""

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Called for each mapping, before others are merged into it."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise BadInput(f"line {line}: a key that is no text")
            if key.value in lines:
                raise BadInput(f"the key '{key.value}' is there twice, in lines {lines[key.value]} and {line}")
            lines[key.value] = line
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Called for each mapping, to merge others into it."""
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep) for key, value in node.value}


def to_int(loader: Loader, node: yaml.ScalarNode) -> int:
    """An integer, in which a zero in front means nothing."""
    return int(node.value, 0) if node.value[:2] in ("0o", "0x") else int(node.value)


def to_float(loader: Loader, node: yaml.ScalarNode) -> float:
    """A float."""
    return float(re.sub(r"\.(?=inf|nan)", "", node.value.lower()))


for name, pattern in SCALARS.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"^({pattern})$"), None)
Loader.add_constructor("tag:yaml.org,2002:int", to_int)
Loader.add_constructor("tag:yaml.org,2002:float", to_float)


def parse(text: str) -> object:
    """What a YAML text says; BadInput if it is none."""
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadInput(f"line {mark.line + 1}: no YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"no YAML: {' '.join(str(error).split())}") from None


def read_file(path: Path) -> Layer:
    """The configuration in a file of YAML or JSON; BadInput with file and line if it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        # JSON may be indented by tabs, YAML not.
        content = parse(text.replace("\t", " ") if text.lstrip().startswith("{") else text)
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not text in UTF-8") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    if not isinstance(content, Mapping):
        raise BadInput(f"{path}: no keys at its top level")
    return Layer(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path), content)


def read_arguments(arguments: Sequence[str]) -> Layer:
    """The configuration of the command line, each argument `key=value` with a value in YAML."""
    content: dict = {}
    for argument in arguments:
        key, _, text = argument.partition("=")
        try:
            content = merged(content, {key: parse(text)})
        except BadInput as error:
            raise BadInput(f"--config {key}: {error}") from None
    return Layer("--config", content)


def merged(below: object, above: object) -> object:
    """Both as one, in parts of its own; where both have a value that of `above` wins, and mappings are merged.

    What has another `name` than what is below it is another thing, and nothing of that stays.

    BadInput if a part holds itself, as YAML's anchors allow.
    """
    try:
        return _merged(below, above)
    except RecursionError:
        raise BadInput("a part of it holds itself") from None


def _merged(below: object, above: object) -> object:
    if isinstance(above, Mapping):
        if isinstance(below, Mapping) and "name" in above and above["name"] != below.get("name"):
            below = None
        found = {key: _merged(None, value) for key, value in below.items()} if isinstance(below, Mapping) else {}
        # A key that another workflow's reader has taken for a number or a boolean.
        texts = {str(key): value for key, value in above.items()}
        return found | {key: _merged(found.get(key), value) for key, value in texts.items()}
    return [_merged(None, item) for item in above] if isinstance(above, list) else above
