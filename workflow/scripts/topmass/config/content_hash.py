"""Content hashes of the user's files.

A rule reruns if the content of a file changes, independently of its modification time.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

from topmass.files import atomic_write, file_digest

CACHE = Path(".snakemake/contents.json")
LARGE = 1e9
"""File size in bytes above which a message is printed, because reading takes seconds."""


def content_of(path: Path) -> str | None:
    """Return a digest of a file's content; None if there is no such file.

    The digest is cached in the working directory by path, size, modification time and inode.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    cache = read_cache()
    if cache.get(str(path), {}).get("state") != state:
        if stat.st_size > LARGE:
            print(f"{path}: reading {stat.st_size / 1e9:.1f} GB to see whether it has changed", file=sys.stderr)
        cache[str(path)] = {"state": state, "digest": file_digest(path)}
        # The cache is optional: the folder may be read-only.
        with suppress(OSError), atomic_write(CACHE) as part:
            part.write_text(json.dumps(cache), encoding="utf-8")
    return cache[str(path)]["digest"]


def read_cache() -> dict:
    """Return cached digests by path; empty if the cache does not exist or is invalid."""
    try:
        found = json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
