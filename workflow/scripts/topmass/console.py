"""What a stage says: progress to the terminal and to its log, and one line when it cannot go on."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from topmass.files import BadInput, shortage

REMEDY = {
    "memory": "let fewer jobs run at a time, give each more, or make blocks and batches smaller",
    "open files": "let fewer jobs run at a time, or allow more files (`ulimit -n` shows and sets how many)",
    "processes": "let fewer jobs run at a time, or allow more processes (`ulimit -u` shows and sets how many)",
}
say = logging.getLogger("topmass").info


@contextmanager
def stage(name: str, log: str | None = None) -> Iterator[None]:
    """Run one stage under this name, with its messages on the terminal and in the file `log`, if one is given.

    Input that cannot be used, a disk that refuses, and a machine that has too little of something, end the process with
    one line and status 1; for any other error that line names the log, which has the traceback.
    """
    to_terminal = logging.StreamHandler()
    to_terminal.setFormatter(logging.Formatter(f"{name}: %(message)s"))
    logger = logging.getLogger("topmass")
    logger.setLevel(logging.INFO)
    logger.handlers = [*([to_file(log)] if log else []), to_terminal]
    try:
        yield
    except Exception as error:
        if isinstance(error, (BadInput, OSError)) or shortage(error):
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


def to_file(log: str) -> logging.Handler:
    """What writes messages to this file, anew."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, mode="w", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    return handler


def show(text: str) -> None:
    """Print a text; letters that the terminal does not have become question marks."""
    sys.stdout.reconfigure(errors="replace")
    print(text)


def describe(error: Exception) -> str:
    """One line for an error that a user can mend."""
    if what := shortage(error):
        said = " ".join(str(error).split()) or type(error).__name__
        return f"not enough {what} ({said}), which damages no file: {REMEDY[what]}"
    if isinstance(error, OSError) and error.strerror:
        why = error.strerror.lower()
        if isinstance(error, PermissionError):
            why += " (`ls -ld` shows who may do what with it; `chmod u+rw` gives its owner the right)"
        return f"{error.filename}: {why}" if error.filename else why
    return " ".join(str(error).split())
