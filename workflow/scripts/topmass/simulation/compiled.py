"""Where compiled functions are kept for the next process: Numba refuses to start where they cannot be."""

import os
import tempfile
from pathlib import Path


def find_folder(chosen: str, sources: Path) -> Path:
    """The folder that the user has chosen; else one beside the sources, in the user's cache, or a temporary one.

    The first that can be written to: an installation may be read-only, and a service account may have no home.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in (chosen, sources / "__pycache__", os.path.join(home, "numba")):
        # Without a home, the ~ stands as it was.
        if folder and not str(folder).startswith("~") and is_writable(Path(folder)):
            return Path(folder)
    shared = Path(tempfile.gettempdir()) / f"topmass-{os.getuid()}"
    # What lies there is run: it must not be what somebody else has put there beforehand.
    if is_writable(shared) and shared.stat().st_uid == os.getuid():
        return shared
    return Path(tempfile.mkdtemp(prefix="topmass-"))


def is_writable(folder: Path) -> bool:
    """Whether files can be made in this folder, which is made if it is missing, for this user alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
