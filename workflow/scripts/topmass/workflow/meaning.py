"""Values of a configuration as they are meant, by the types that the schema asks for; defaults for what is left out.

Numbers and truths come as text from other workflows and from YAML's older rules (`2.0e6`, `yes`), whole numbers as
floats (`3.0e+2`). What does not read as a value of the wanted type stays as it is, for the schema to refuse.
"""

import copy
from collections.abc import Mapping

from jsonschema import Draft202012Validator

from topmass.files import BadInput
from topmass.workflow.reading import parse

BOOLEANS = {"yes": True, "on": True, "no": False, "off": False}
"""Besides true and false: what YAML 1.1 took for booleans."""
TYPES = {"integer": int | float, "number": int | float, "boolean": bool, "null": type(None)}


def as_meant(value: object, schema: Mapping, definitions: Mapping) -> object:
    """The value, with all that is in it, for this part of a schema with these `$defs`."""
    schema = resolved(value, schema, definitions)
    if isinstance(value, dict):
        named, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        found = {key: as_meant(inner, named.get(key, others or {}), definitions) for key, inner in value.items()}
        left_out = {key: about["default"] for key, about in named.items() if "default" in about and key not in value}
        return found | copy.deepcopy(left_out)
    if isinstance(value, list):
        return [as_meant(inner, schema.get("items", {}), definitions) for inner in value]
    kinds = schema.get("type", "string")
    return scalar(value, [kinds] if isinstance(kinds, str) else kinds)


def resolved(value: object, schema: Mapping, definitions: Mapping) -> Mapping:
    """The schema with what it refers to, of alternatives the one that holds for this value."""
    if "$ref" in schema:
        return resolved(value, definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    for choice in schema.get("allOf", [schema] if "if" in schema else []):
        holds = Draft202012Validator(choice["if"]).is_valid(value)
        if holds or "else" in choice:
            return resolved(value, choice["then" if holds else "else"], definitions)
    return schema


def scalar(value: object, kinds: list[str]) -> object:
    """One value as one of these types of JSON Schema, if it can be read so."""
    if isinstance(value, str) and "string" not in kinds:
        found = read_scalar(value)
        value = found if any(isinstance(found, TYPES[kind]) for kind in kinds if kind in TYPES) else value
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return int(value)
    # A name that is all digits.
    return str(value) if type(value) is int and kinds == ["string"] else value


def read_scalar(text: str) -> object:
    """What YAML reads in a text, or the text itself."""
    if text.lower() in BOOLEANS:
        return BOOLEANS[text.lower()]
    try:
        return parse(text)
    except BadInput:
        return text
