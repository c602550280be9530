"""Reads files on a machine with too little of something: `python limited_reader.py FOLDER`, with a file of each kind.

Each file is read with each limit in a process of its own, forked from this one, as a stage whose log is beside it.
"""

import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from test_hostile import KINDS
from topmass.console import stage
from topmass.training.checkpoint import Checkpoint

READ: dict[str, Callable[[Path], object]] = {kind: read for kind, (_, read) in KINDS.items()}
READ |= {"checkpoint": Checkpoint.load, "thread": lambda path: threading.Thread(target=print).start()}


def no_memory() -> None:
    """Leave room for little more than there is in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit(resource.RLIMIT_AS, pages * resource.getpagesize() + 2**16)


def no_files() -> None:
    """Allow no other file."""
    limit(resource.RLIMIT_NOFILE, len(os.listdir("/proc/self/fd")) - 1)


def no_processes() -> None:
    """Allow no thread; root has no such limit."""
    if os.getuid() == 0:
        os.setuid(12345)
    limit(resource.RLIMIT_NPROC, 0)


def limit(kind: int, value: int) -> None:
    """Set a limit of this process."""
    resource.setrlimit(kind, (value, value))


LIMITS = {"memory": no_memory, "open files": no_files, "processes": no_processes}


def read_limited(path: Path, what: str) -> None:
    """Read in a process of its own."""
    if not os.fork():
        try:
            with stage("reading", f"{path} {what}.log"):
                LIMITS[what]()
                READ[path.name](path)
        finally:
            # Without what else Python does at its end, which takes longer than all the rest.
            os._exit(0)
    os.wait()


if __name__ == "__main__":
    for file in sorted(Path(sys.argv[1]).iterdir()):
        for name in LIMITS:
            if (name == "processes") == (file.name == "thread"):
                read_limited(file, name)
