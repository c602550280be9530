"""Whose turn it is in a folder: a lock that a run holds while it lives, and that other machines see too."""

import errno
import fcntl
import os
import socket
from pathlib import Path

NOTE = ".snakemake/turn"
"""The file that is locked; it says who has locked it."""


def take_turn(folder: Path) -> bool | None:
    """Lock the folder for this process until it ends; False if another process has it, None if there are no locks here.

    The lock passes to the program that takes this one's place, and not to its children: jobs may outlive their run.
    """
    (folder / NOTE).parent.mkdir(parents=True, exist_ok=True)
    # Never closed once it is locked: a process loses its locks on a file with any descriptor of it.
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


def whose_turn(folder: Path) -> str:
    """Who has locked the folder, in words."""
    return (folder / NOTE).read_text(encoding="utf-8")
