"""Numba cache directory, with fallbacks: Numba does not start without a writable one."""

import os
import tempfile
from pathlib import Path


def find_folder(chosen: str, sources: Path) -> Path:
    """Return the first writable cache folder: the user's choice, next to the sources, in the user cache, temporary.

    An installation may be read-only, and a service account may have no home.

    Args:
        chosen: Folder that the user has configured, "" if none.
        sources: Folder of the source files.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in (chosen, sources / "__pycache__", os.path.join(home, "numba")):
        # Without a home, `expanduser` leaves the ~ unchanged.
        if folder and not str(folder).startswith("~") and is_writable(Path(folder)):
            return Path(folder)
    shared = Path(tempfile.gettempdir()) / f"topmass-{os.getuid()}"
    # Cached code is executed: the folder must not belong to another user.
    if is_writable(shared) and shared.stat().st_uid == os.getuid():
        return shared
    return Path(tempfile.mkdtemp(prefix="topmass-"))


def is_writable(folder: Path) -> bool:
    """Return whether the folder is writable; create it for this user only if it is missing."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
