"""Coercion of configuration values to the types of the schema, and defaults.

Values from YAML are text. Another workflow may also provide integers as floats, and names as integers. A value that
cannot be coerced stays unchanged, so that the validation rejects it.
"""

import copy
from collections.abc import Mapping
from contextlib import suppress

from jsonschema import Draft202012Validator

NULLS = ("", "~", "null")
CONSTANTS = dict.fromkeys(NULLS) | {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
TYPES = {"integer": int | float, "number": int | float, "boolean": bool, "null": type(None)}


def coerce(value: object, schema: Mapping, definitions: Mapping) -> object:
    """Return a part of the configuration with coerced types and defaults, recursively; `definitions` is `$defs`."""
    schema = resolve_reference(value, schema, definitions)
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
        coerced = {key: coerce(inner, properties.get(key, others), definitions) for key, inner in value.items()}
        defaults = {key: about["default"] for key, about in properties.items() if "default" in about}
        return coerced | copy.deepcopy({key: defaults[key] for key in defaults if key not in value})
    if isinstance(value, list):
        return [coerce(inner, schema.get("items", {}), definitions) for inner in value]
    kinds = schema.get("type", "string")
    return scalar(value, [kinds] if isinstance(kinds, str) else kinds)


def resolve_reference(value: object, schema: Mapping, definitions: Mapping) -> Mapping:
    """Return the schema with `$ref` resolved and the `if` branch that applies to the value."""
    if "$ref" in schema:
        return resolve_reference(value, definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    for choice in schema.get("allOf", [schema] if "if" in schema else []):
        branch = "then" if Draft202012Validator(choice["if"]).is_valid(value) else "else"
        if branch in choice:
            return resolve_reference(value, choice[branch], definitions)
    return schema


def scalar(value: object, kinds: list[str]) -> object:
    """Return a scalar coerced to one of these JSON Schema types if possible."""
    if isinstance(value, str) and kinds != ["string"]:
        parsed = read_scalar(value)
        value = parsed if any(isinstance(parsed, TYPES[kind]) for kind in kinds if kind in TYPES) else value
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return int(value)
    # YAML parses a name of digits as an integer.
    return str(value) if type(value) is int and kinds == ["string"] else value


def read_scalar(text: str) -> object:
    """Return a text as null, boolean, integer or float, or the text itself if it is none of these."""
    if text.lower() in CONSTANTS:
        return CONSTANTS[text.lower()]
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text
