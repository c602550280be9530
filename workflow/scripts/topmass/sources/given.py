"""Jets as a user gives them: files, folders, URLs."""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from topmass.files import BadInput
from topmass.sources.places import PARTS, expanded
from topmass.sources.remote import Patience
from topmass.sources.transfer import fetch


def files_of(jets: str, downloads: Path) -> list[Path]:
    """The files that are meant; what is at a URL is downloaded into a folder. BadInput for a folder without any."""
    if "://" in jets:
        file = downloads / (PurePosixPath(urlsplit(jets).path).name or "jets.parquet")
        fetch(jets, file, None, None, Patience())
        return [file]
    files = [Path(file) for file in expanded(jets)]
    if files[0].is_dir():
        raise BadInput(f"{jets}: a folder without any {PARTS}")
    return files
