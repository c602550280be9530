"""What is wrong with the form of a configuration, by its schema, in words that say what to do."""

import difflib
import math
from collections.abc import Mapping

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

Problem = tuple[tuple[str, ...], str]
"""The path of a key and what is wrong with its value."""


def is_number(checker: object, value: object) -> bool:
    """Whether a value is a number that a float can hold; JSON Schema knows no infinity, but YAML does."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


Validator = extend(Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", is_number))


def misfit(config: Mapping, schema: Mapping) -> Problem | None:
    """The worst misfit between a configuration and its schema, or None."""
    error = best_match(Validator(schema).iter_errors(config))
    return None if error is None else explain(error)


def explain(error: ValidationError) -> Problem:
    """A schema's complaint, put so that it says what to do."""
    key = tuple(str(step) for step in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        wrong = sorted(set(error.instance) - set(known))[0]
        close = difflib.get_close_matches(wrong, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        return (*key, wrong), f"no such key; {hint}"
    about = error.schema.get("description")
    if error.validator == "pattern" and about:
        return key, f"{error.instance!r} does not fit: {about[0].lower()}{about[1:].rstrip('.')}"
    hint = f"; write [{error.instance}]" if error.validator == "type" and error.validator_value == "array" else ""
    return key, f"{error.message}{hint} ({about})" if about else error.message + hint
