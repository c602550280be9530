"""Schema validation of the configuration with actionable error messages."""

import difflib
import math
from collections.abc import Mapping

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

Problem = tuple[tuple[str, ...], str]
"""Path of a key and the error in its value."""


class ConfigError(Exception):
    """Error of an entry that prevents validation; the argument is a `Problem`."""


RENAMED = [
    ("average_decay", "ema_decay"), ("batch", "batch_size"), ("blocks", "max_blocks"), ("blocks", "num_layers"),
    ("by", "variables"), ("flips", "augment_flips"), ("floor", "oracle_mae"), ("gradient_clip", "gradient_clip_norm"),
    ("like", "extends"), ("mass_above", "min_mass"), ("pool", "downsample"), ("radius", "jet_radius"),
    ("rounds", "num_layers"), ("softdrop_cut", "softdrop_zcut"), ("tilt", "asymmetry"),
    ("top_distance", "top_match_dr"), ("trees_on_subjets", "gbdt_on_subjets"), ("unbias", "flatten"),
    ("unusable", "on_invalid"), ("validate_every", "val_interval_jets"),
]  # fmt: skip
"""Old and new names of keys."""


def is_json_number(checker: object, value: object) -> bool:
    """Return whether a value is a finite number within the range of a float; YAML allows infinities, JSON does not."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


Validator = extend(
    Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", is_json_number)
)


def validate(config: Mapping, schema: Mapping) -> Problem | None:
    """Return the most relevant schema violation of a configuration, or None."""
    error = best_match(Validator(schema).iter_errors(config))
    return None if error is None else explain(error)


def explain(error: ValidationError) -> Problem:
    """Return the key and an actionable message for a schema violation."""
    key = tuple(str(step) for step in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))[0]
        for old, new in RENAMED:
            if old == unknown and new in known:
                return (*key, unknown), f"renamed to {new}"
        close = difflib.get_close_matches(unknown, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        return (*key, unknown), f"no such key; {hint}"
    description = error.schema.get("description")
    if error.validator == "pattern" and description:
        return key, f"{error.instance!r} does not fit: {description[0].lower()}{description[1:].rstrip('.')}"
    hint = f"; write [{error.instance}]" if error.validator == "type" and error.validator_value == "array" else ""
    return key, f"{error.message}{hint} ({description})" if description else error.message + hint
