"""Citations of topmass and its references, for the model card."""

from collections.abc import Mapping
from pathlib import Path

from topmass.config.config_sources import read_file


def citations(citation: Path) -> list[str]:
    """Return a line for the software of this CITATION.cff, and one for each of its references."""
    content = read_file(citation).content
    own = f"{authors(content)}: {content['title']}, version {content['version']}, {content['license']} licence"
    return [own, *(reference(each) for each in content["references"])]


def reference(work: Mapping) -> str:
    """Return authors, title, journal, year and DOI of a work."""
    where = " ".join(str(work[key]) for key in ("journal", "volume", "start") if key in work)
    doi = f"doi:{work['doi']}" if "doi" in work else ""
    return ", ".join(filter(None, [f"{authors(work)}: {work['title']}", where, str(work["year"]), doi]))


def authors(work: Mapping) -> str:
    """Return the names of a work's authors."""
    found = [each.get("name") or f"{each['given-names']} {each['family-names']}" for each in work["authors"]]
    return ", ".join(found)
