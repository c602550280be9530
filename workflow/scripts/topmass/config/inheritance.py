"""Inheritance between configuration entries by `extends`."""

from collections.abc import Mapping

from topmass.config.config_sources import deep_merge
from topmass.config.schema_validation import Problem

SECTIONS = ("samples", "datasets", "experiments")


class InheritanceError(Exception):
    """Error of an entry that extends an unknown one or itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem[1])
        self.problem = problem


def resolve_inheritance(config: Mapping) -> dict:
    """Return the configuration with all inherited keys filled in.

    Raises:
        InheritanceError: If an entry extends an unknown one or itself.
    """
    return {
        section: {name: inherit(section, parts, (name,)) for name in parts}
        if section in SECTIONS and isinstance(parts, Mapping)
        else parts
        for section, parts in config.items()
    }


def with_settings(part: object) -> object:
    """Return an entry with `network: name` replaced by `network: {name: name}`, to which defaults can be added."""
    if isinstance(part, Mapping) and isinstance(part.get("network"), str):
        return {**part, "network": {"name": part["network"]}}
    return part


def inherit(section: str, parts: Mapping, chain: tuple[str, ...]) -> object:
    """Return the last entry of a chain with its inherited keys.

    Args:
        section: Section of the configuration, for the error message.
        parts: Entries of the section by name.
        chain: Names of entries, each of which extends the next one.

    Raises:
        InheritanceError: If an entry extends an unknown one or itself.
    """
    part = parts[chain[-1]]
    if not isinstance(part, Mapping) or part.get("extends") is None:
        return with_settings(part)
    other, key = str(part["extends"]), (section, chain[-1], "extends")
    if other not in parts:
        raise InheritanceError((key, f"there is no '{other}'; known are {', '.join(parts)}"))
    if other in chain:
        raise InheritanceError((key, f"goes round in a circle: {' extends '.join((*chain, other))}"))
    return with_settings(deep_merge(inherit(section, parts, (*chain, other)), part))
