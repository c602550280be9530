"""GBDT baselines of a run."""

from collections.abc import Mapping


def gbdt_kinds(config: Mapping) -> list[str]:
    """Return the names of the GBDTs that a configuration requests."""
    return ["trees_image", "trees_jet", *(["trees_subjets"] if config["evaluate"]["gbdt_on_subjets"] else [])]
