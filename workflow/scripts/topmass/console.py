"""Messages of a stage: progress, log file and one-line errors."""

import errno
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from topmass.files import BadInput, resource_exhausted

REMEDY = {
    "memory": "let fewer jobs run at a time, give each more, or make blocks and batches smaller",
    "open files": "let fewer jobs run at a time, or allow more files (`ulimit -n` shows and sets how many)",
    "processes": "let fewer jobs run at a time, or allow more processes (`ulimit -u` shows and sets how many)",
}
log_info = logging.getLogger("topmass").info
EVERY = 30.0
"""Seconds between two progress lines of a stage."""
active_progress: list[Callable[[], object]] = []
"""Functions that print the progress of current work. Only the last one is called."""


@contextmanager
def stage(name: str, log: str | None = None) -> Iterator[None]:
    """Run a stage with messages on the terminal and in a log file.

    Unusable input, a failing disk and exhausted resources end the process with one line and status 1. For any other
    error, this line names the log, which has the traceback. Without a log, the exception propagates.

    Args:
        name: Name of the stage, the prefix of messages on the terminal.
        log: Path of the log file; None for no log.
    """
    to_terminal = add_log_handlers(name, log)
    logger = logging.getLogger("topmass")
    try:
        with heartbeat():
            yield
    except Exception as error:
        if isinstance(error, (BadInput, OSError)) or resource_exhausted(error):
            logger.error(f"error: {describe(error)}")
            sys.exit(1)
        if not log:
            raise
        logger.removeHandler(to_terminal)
        logger.exception("unexpected error")
        to_terminal.emit(
            logging.makeLogRecord({"msg": f"error: unexpected {type(error).__name__}: {error} (details: {log})"})
        )
        sys.exit(1)


@contextmanager
def heartbeat() -> Iterator[None]:
    """Print the progress every `EVERY` seconds, from a thread because one step may take longer."""
    stopped, start = threading.Event(), time.monotonic()

    def say_at_work() -> None:
        log_info(f"at work for {duration(time.monotonic() - start)}")

    def beat() -> None:
        while not stopped.wait(EVERY):
            # A copy: the main thread may end the current work at this moment.
            for print_progress in active_progress[-1:] or [say_at_work]:
                print_progress()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def add_log_handlers(name: str, log: str | None, mode: str = "w") -> logging.Handler:
    """Send messages to the terminal, after the prefix `name`, and to the file `log`; return the terminal's handler."""
    to_terminal = logging.StreamHandler()
    to_terminal.setFormatter(logging.Formatter(f"{name}: %(message)s"))
    to_terminal.addFilter(lambda record: not getattr(record, "has_bar", False))
    logger = logging.getLogger("topmass")
    logger.setLevel(logging.INFO)
    logger.handlers = [to_terminal]
    if log:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(log, mode, encoding="utf-8", errors="backslashreplace")
        to_file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.handlers.insert(0, to_file)
    return to_terminal


def print_status(text: str) -> None:
    """Print a text, with question marks for characters that the terminal does not support."""
    sys.stdout.reconfigure(errors="replace")
    print(text)


def duration(seconds: float) -> str:
    """Return a time in a suitable unit: 45 s, 12 min."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:,.0f} min"


def describe(error: Exception) -> str:
    """Return one line for an error that a user can fix."""
    message = " ".join(str(error).split())
    if resource := resource_exhausted(error):
        return f"not enough {resource} ({message or type(error).__name__}), which damages no file: {REMEDY[resource]}"
    if not isinstance(error, OSError) or not error.strerror:
        return message
    reason = error.strerror.lower()
    if isinstance(error, PermissionError):
        reason += " (`ls -ld` shows who may do what with it; `chmod u+rw` gives its owner the right)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT) and not error.filename:
        # The file is temporary, or the library did not name it.
        reason += f"; free are {free_space()}; to fix: make room, or name another folder in TMPDIR"
    return f"{error.filename}: {reason}" if error.filename else reason


def free_space() -> str:
    """Return the free space on the disks of TMPDIR and of the working directory, as text."""
    folder = os.environ.get("TMPDIR", "")
    temporary = folder if os.path.isdir(folder) else tempfile.gettempdir()
    folders = {f"TMPDIR={temporary}": temporary, os.getcwd(): os.curdir}
    return ", ".join(f"{shutil.disk_usage(path).free / 1e9:.1f} GB in {name}" for name, path in folders.items())
