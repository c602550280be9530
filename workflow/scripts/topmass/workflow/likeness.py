"""Samples, datasets and experiments that are like another one: what they do not say themselves is as there."""

from collections.abc import Mapping

from topmass.workflow.checking import Problem
from topmass.workflow.reading import merged

SECTIONS = ("samples", "datasets", "experiments")


class NotAlike(Exception):
    """Something is like nothing, or like itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem[1])
        self.problem = problem


def with_likenesses(config: Mapping) -> dict:
    """The configuration with all that such parts take from others filled in; NotAlike if there is no other."""
    return {
        section: {name: completed(section, parts, (name,)) for name in parts}
        if section in SECTIONS and isinstance(parts, Mapping)
        else parts
        for section, parts in config.items()
    }


def with_settings(part: object) -> object:
    """A part whose network, if that is a bare name, is one with settings: none yet, so that it has its defaults."""
    if isinstance(part, Mapping) and isinstance(part.get("network"), str):
        return {**part, "network": {"name": part["network"]}}
    return part


def completed(section: str, parts: Mapping, chain: tuple[str, ...]) -> object:
    """The part named last in a chain, of which each is like the next one."""
    part = parts[chain[-1]]
    if not isinstance(part, Mapping) or part.get("like") is None:
        return with_settings(part)
    other, key = str(part["like"]), (section, chain[-1], "like")
    if other not in parts:
        raise NotAlike((key, f"there is no '{other}'; known are {', '.join(parts)}"))
    if other in chain:
        raise NotAlike((key, f"goes round in a circle: {' is like '.join((*chain, other))}"))
    return with_settings(merged(completed(section, parts, (*chain, other)), part))
