"""Which estimators are fitted to the jets of a network, to stand beside it."""

from collections.abc import Mapping


def kinds_of_trees(config: Mapping) -> list[str]:
    """Names of the boosted trees that a configuration asks for."""
    return ["trees_image", "trees_jet", *(["trees_subjets"] if config["evaluate"]["trees_on_subjets"] else [])]
