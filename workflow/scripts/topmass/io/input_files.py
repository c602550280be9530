"""Resolution of a user's paths, folders and URLs to local files."""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from topmass.files import BadInput
from topmass.io.download import download
from topmass.io.glob_paths import PART_PATTERN, glob_paths


def resolve_inputs(jets: str, downloads: Path) -> list[Path]:
    """Return the files of a path, folder or URL; a URL is downloaded to the folder `downloads`.

    Raises:
        BadInput: The folder has no parquet files, or the download failed.
    """
    if "://" in jets:
        file = downloads / (PurePosixPath(urlsplit(jets).path).name or "jets.parquet")
        download(jets, file)
        return [file]
    files = [Path(file) for file in glob_paths(jets)]
    if files[0].is_dir():
        raise BadInput(f"{jets}: a folder without any {PART_PATTERN}")
    return files
