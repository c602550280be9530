"""Run lock of a working directory, visible to other machines."""

import errno
import fcntl
import os
import socket
from pathlib import Path

from topmass.files import BadInput

NOTE = ".snakemake/turn"
"""Lock file; its content identifies the owner."""


def acquire_run_lock(folder: Path) -> bool | None:
    """Lock the folder for this process until it ends.

    The lock survives `exec`, but child processes do not inherit it, since jobs may outlive their run.

    Returns:
        True if locked, False if another process has the lock, None if the file system does not support locks.
    """
    (folder / NOTE).parent.mkdir(parents=True, exist_ok=True)
    # Not closed once locked: closing any descriptor of the file releases the process's locks on it.
    opened = os.open(folder / NOTE, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(opened)
        return False if error.errno in (errno.EACCES, errno.EAGAIN) else None
    os.set_inheritable(opened, True)
    os.truncate(opened, 0)
    os.pwrite(opened, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
    return True


def require_writable(folder: Path, snakefile: Path) -> None:
    """Raise BadInput unless Snakemake can write to this working directory, which even a dry run requires."""
    notes = folder / NOTE.partition("/")[0]
    effective = os.access in os.supports_effective_ids
    if not os.access(notes if notes.exists() else folder, os.W_OK, effective_ids=effective):
        elsewhere = f"snakemake --snakefile {snakefile.resolve()} --directory <folder of yours>"
        raise BadInput(f"{folder.resolve()}: Snakemake cannot write to this folder; to fix: {elsewhere}")


def lock_owner(folder: Path) -> str:
    """Return process and host of the lock's owner as text."""
    return (folder / NOTE).read_text(encoding="utf-8")
