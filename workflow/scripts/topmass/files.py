"""Whole files or none, and the error for input that cannot be used."""

import glob
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class BadInput(Exception):
    """Something given by the user cannot be used. The message is one line that names the file and the row or key."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; move it to `path` once the block has ended without an error.

    A kill at any moment leaves the old file, or none, or the new one whole. What a writer that was killed on this
    machine left beside the path is swept away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = f".{path.name}.{socket.gethostname()}."
    for stale in path.parent.glob(f"{glob.escape(mine)}*.part"):
        if not is_running(int(stale.name.removeprefix(mine).removesuffix(".part"))):
            stale.unlink(missing_ok=True)
    part = path.with_name(f"{mine}{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        # Libraries that write through an open file do not say which; and nobody knows the part.
        if error.filename is None or str(error.filename) == str(part):
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
