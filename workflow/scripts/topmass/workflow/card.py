"""What the card of a model tells that stands in the configuration and in the repository."""

from collections.abc import Mapping
from pathlib import Path

from topmass.workflow.facts import inputs_of, leaves
from topmass.workflow.reading import read_file


def card_of(config: Mapping, experiment: str, citation: Path) -> dict:
    """Of an experiment: keys and values of `network_settings`, `recipe` and `dataset`; `inputs`, `layers`, `position`.

    `citations` are a line each: how to cite topmass, by its CITATION.cff, and what it stands on.
    """
    settings = config["experiments"][experiment]
    dataset = config["datasets"][settings["dataset"]]
    sample = config["samples"][dataset["sample"]]
    found = {"network_settings": list(leaves(settings["network"])), "recipe": list(leaves(settings["recipe"]))}
    found |= {"dataset": list(leaves(dataset)), "inputs": inputs_of(config, [dataset["sample"]])}
    found |= {"layers": dataset["layers"], "position": sample.get("position") != "none"}
    return found | {"citations": citations(read_file(citation).content)}


def citations(content: Mapping) -> list[str]:
    """A line for the software, and one for each of its references."""
    own = f"{authors(content)}: {content['title']}, version {content['version']}, {content['license']} licence"
    return [own, *(reference(each) for each in content["references"])]


def reference(work: Mapping) -> str:
    """One work: who, what, where and when."""
    where = " ".join(str(work[key]) for key in ("journal", "volume", "start") if key in work)
    doi = f"doi:{work['doi']}" if "doi" in work else ""
    return ", ".join(filter(None, [f"{authors(work)}: {work['title']}", where, str(work["year"]), doi]))


def authors(work: Mapping) -> str:
    """Their names."""
    found = [each.get("name") or f"{each['given-names']} {each['family-names']}" for each in work["authors"]]
    return ", ".join(found)
