"""Loading and merging of YAML configurations; duplicate keys are rejected.

All scalars are text; the schema determines their types. PyYAML would treat `2.0e6` as text, `on` as true and `012` as
ten.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import yaml

from topmass.files import BadInput


class ConfigSource(NamedTuple):
    """Part of a configuration with its source, such as a file."""

    source: str
    content: Mapping


class Loader(yaml.SafeLoader):
    """YAML loader of text only; a duplicate key is rejected with both line numbers."""

    yaml_implicit_resolvers: ClassVar[dict] = {"<": [("tag:yaml.org,2002:merge", re.compile("^<<$"))]}

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Reject duplicate keys and keys that are not scalars, before merge keys are resolved."""
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
        """Resolve merge keys and construct the mapping."""
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep) for key, value in node.value}


def parse(text: str) -> object:
    """Parse a YAML text; raise BadInput if it is not YAML or contains a duplicate key."""
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadInput(f"line {mark.line + 1}: no YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"no YAML: {' '.join(str(error).split())}") from None


def read_file(path: Path) -> ConfigSource:
    """Load a YAML or JSON mapping; raise BadInput with file and line if the file contains anything else."""
    try:
        text = path.read_text(encoding="utf-8")
        # JSON may be indented with tabs, but YAML may not.
        content = parse(text.replace("\t", " ") if text.lstrip().startswith("{") else text)
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not text in UTF-8") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    if not isinstance(content, Mapping):
        raise BadInput(f"{path}: no keys at its top level")
    return ConfigSource(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path), content)


def read_arguments(arguments: Sequence[str]) -> ConfigSource:
    """Parse items `key=value` of the command line; raise BadInput if a value is not YAML."""
    content: dict = {}
    for argument in arguments:
        key, _, text = argument.partition("=")
        try:
            content = deep_merge(content, {key: parse(text)})
        except BadInput as error:
            raise BadInput(f"--config {key}: {error}") from None
    return ConfigSource("--config", content)


def deep_merge(below: object, above: object) -> object:
    """Return both configurations merged recursively, as a deep copy; values of `above` take precedence.

    A mapping with another `name` than the one below it replaces it entirely.

    Raises:
        BadInput: If a part contains itself, which YAML's anchors allow.
    """
    try:
        return _deep_merge(below, above)
    except RecursionError:
        raise BadInput("a part of it holds itself") from None


def _deep_merge(below: object, above: object) -> object:
    if isinstance(above, Mapping):
        if not isinstance(below, Mapping) or ("name" in above and above["name"] != below.get("name")):
            below = {}
        merged = {key: _deep_merge(None, value) for key, value in below.items()}
        # The YAML reader of another workflow may have parsed a key as a number or a boolean.
        texts = {str(key): value for key, value in above.items()}
        return merged | {key: _deep_merge(merged.get(key), value) for key, value in texts.items()}
    return [_deep_merge(None, item) for item in above] if isinstance(above, list) else above
