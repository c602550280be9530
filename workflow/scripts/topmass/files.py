"""Atomic writes; classification of read errors as bad input or machine failure."""

import errno
import glob
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ERRNO_RESOURCES = {
    errno.ENOMEM: "memory", errno.EMFILE: "open files", errno.ENFILE: "open files", errno.EAGAIN: "processes",
}  # fmt: skip
RESOURCE_PATTERNS = {
    "memory": r"out of memory|not enough memory|allocate memory|bad_alloc|ALLOC_FAILED|failed to map segment[^:]*$",
    "open files": r"Too many open files",
    "processes": r"can't start new thread|Resource temporarily unavailable",
}
"""Messages of errors without an errno: those of Python's threads, of torch and of C++ libraries."""


class BadInput(Exception):
    """Unusable input of the user; the message is one line with the file and the row or key."""


def resource_exhausted(error: Exception) -> str:
    """Return the resource that is exhausted according to an error, or an empty string."""
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError) and error.errno in ERRNO_RESOURCES:
        return ERRNO_RESOURCES[error.errno]
    text = "" if isinstance(error, BadInput) else str(error)
    return next((name for name, pattern in RESOURCE_PATTERNS.items() if re.search(pattern, text, re.IGNORECASE)), "")


def classify_read_error(error: Exception, what: str) -> Exception:
    """Return the exception for a failed read: `BadInput` with `what`, or `error` if a resource is exhausted.

    With too little memory or too few open files, a valid file raises the same exceptions as a damaged one.
    """
    return error if resource_exhausted(error) else BadInput(f"{what} ({' '.join(str(error).split())})")


def file_digest(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256, the reference to it in other files."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@contextmanager
def atomic_write(path: Path, ending: str = "") -> Iterator[Path]:
    """Yield a temporary path next to `path`; move it to `path` if the block ends without an error.

    A kill at any time leaves the old file, no file or the complete new file. Temporary files of writers that were
    killed on this machine are deleted.

    Args:
        path: Final path.
        ending: Suffix of the temporary path, for writers that choose their format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Host names have no @, and a number precedes it: no other file and no other host matches.
    name, host = f".{path.name}.", f"@{socket.gethostname()}.part{ending}"
    for stale in path.parent.glob(f"{glob.escape(name)}*{glob.escape(host)}"):
        process = stale.name.removeprefix(name).removesuffix(host)
        if process.isdecimal() and not is_running(int(process)):
            stale.unlink(missing_ok=True)
    part = path.with_name(f"{name}{os.getpid()}{host}")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        # Libraries that write to an open file do not name it, and the user does not know the temporary path.
        if error.filename is None or str(error.filename) == str(part):
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def is_running(process: int) -> bool:
    """Return whether a process with this ID runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
