"""Whole files or none; and what it means when one cannot be used: the file's fault, or the machine's."""

import errno
import glob
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NUMBERS = {
    errno.ENOMEM: "memory", errno.EMFILE: "open files", errno.ENFILE: "open files", errno.EAGAIN: "processes",
}  # fmt: skip
WORDS = {
    "memory": r"out of memory|not enough memory|allocate memory|bad_alloc|ALLOC_FAILED|failed to map segment[^:]*$",
    "open files": r"Too many open files",
    "processes": r"can't start new thread|Resource temporarily unavailable",
}
"""How errors without a number say it: those of Python's threads, of torch and of C++ libraries."""


class BadInput(Exception):
    """Something given by the user cannot be used. The message is one line that names the file and the row or key."""


def shortage(error: Exception) -> str:
    """What the machine, or a limit on it, has too little of if that is what the error says; else nothing."""
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError) and error.errno in NUMBERS:
        return NUMBERS[error.errno]
    said = "" if isinstance(error, BadInput) else str(error)
    return next((what for what, words in WORDS.items() if re.search(words, said, re.IGNORECASE)), "")


def damage(error: Exception, what: str) -> Exception:
    """What to raise when reading a file has failed: BadInput with `what` and why, unless the machine is to blame.

    A healthy file on a machine with too little memory, or too few open files, raises what a damaged one does.
    """
    return error if shortage(error) else BadInput(f"{what} ({' '.join(str(error).split())})")


@contextmanager
def whole(path: Path, ending: str = "") -> Iterator[Path]:
    """Yield a path beside `path` to write to; move it to `path` once the block has ended without an error.

    A kill at any moment leaves the old file, or none, or the new one whole. What a writer that was killed on this
    machine left beside the path is swept away. `ending` is for writers that choose their format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # No host has an @ in its name, and only a number stands before it: no other file or host has such parts.
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
