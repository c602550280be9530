"""Configuration, package versions and citations recorded in the outputs of a run."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from topmass.config.config_sources import read_file
from topmass.config.cross_checks import file_name
from topmass.io.locations import redact_url


def config_of(config: Mapping, experiment: str) -> dict:
    """Return the part of a configuration that an experiment depends on: its settings, dataset and samples.

    User, password and query are removed from URLs. Each downloaded file has the name under which it is saved.
    """
    settings = config["experiments"][experiment]
    dataset = config["datasets"][settings["dataset"]]
    samples = {}
    for name in filter(None, (dataset["sample"], dataset["background"])):
        samples[name] = dict(config["samples"][name])
        if "files" in samples[name]:
            samples[name]["files"] = [
                file | ({"url": redact_url(file["url"]), "name": file_name(file)} if "url" in file else {})
                for file in samples[name]["files"]
            ]
    return {
        "experiments": {experiment: settings},
        "datasets": {settings["dataset"]: dataset},
        "samples": samples,
    }


def pinned_packages(environments: Sequence[Path]) -> dict[str, str]:
    """Return the pinned version of each pip package in these conda environment files."""
    entries = chain.from_iterable(read_file(file).content["dependencies"] for file in environments)
    pins = {pin for entry in entries if isinstance(entry, Mapping) for pin in entry["pip"]}
    return dict(pin.split("==") for pin in sorted(pins))


def citations(citation: Path) -> list[str]:
    """Return a line for the software of this CITATION.cff, and one for each of its references."""
    content = read_file(citation).content
    software = f"{authors(content)}: {content['title']}, version {content['version']}, {content['license']} licence"
    return [software, *map(reference, content["references"])]


def reference(work: Mapping) -> str:
    """Return authors, title, journal, year and DOI of a work."""
    journal = " ".join(str(work[key]) for key in ("journal", "volume", "start") if key in work)
    doi = f"doi:{work['doi']}" if "doi" in work else ""
    return ", ".join(filter(None, [f"{authors(work)}: {work['title']}", journal, str(work["year"]), doi]))


def authors(work: Mapping) -> str:
    """Return the names of a work's authors."""
    return ", ".join(
        person.get("name") or f"{person['given-names']} {person['family-names']}" for person in work["authors"]
    )
