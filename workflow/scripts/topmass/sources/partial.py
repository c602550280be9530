"""What has come so far of a file, beside its place under hidden names, so that a killed download can go on."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from topmass.console import say
from topmass.files import BadInput, whole
from topmass.sources.checksum import Running, running_over
from topmass.sources.remote import UNKNOWN, Edition


class Part:
    """The first `length` bytes of one edition of one remote file, for a place `file`.

    The bytes are in `.{name}.download`; beside them, as JSON, is whose they are. The state is written before the
    first byte, and the length is that on disk: whenever a run is killed, the next one finds the two in accord.
    `checksum` is that of all the bytes, of this kind.
    """

    def __init__(self, file: Path, source: str, kind: str, opened: IO[bytes]):
        self.file, self.source, self.kind, self.opened = file, source, kind, opened
        self.edition = UNKNOWN
        self.length = opened.seek(0, os.SEEK_END)
        self.came = 0  # bytes of this run, also those of an edition that was thrown away since
        if self.length and not self.recall():
            self.restart(UNKNOWN)
        self.checksum = running_over(kind, part_of(file)) if self.length else Running(kind)

    def recall(self) -> bool:
        """Take up what the state says; False, and a line that says why, if it is not about these bytes."""
        try:
            state = json.loads(state_of(self.file).read_text(encoding="utf-8"))
            source, size, tag = state["source"], state["size"], state["tag"]
            if not isinstance(tag, str) or not (size is None or isinstance(size, int)):
                raise TypeError
        except (OSError, ValueError, TypeError, KeyError):
            say("starting over: what there is of the file has no readable state")
            return False
        if source != self.source:
            say("starting over: what there is of the file comes from another URL")
            return False
        if size is not None and self.length > size:
            say("starting over: there is more of the file than its size")
            return False
        self.edition = Edition(size, tag)
        return True

    def restart(self, edition: Edition) -> None:
        """Throw the bytes away, if any, and begin with this edition."""
        self.opened.seek(0)
        self.opened.truncate()
        self.length, self.edition, self.checksum = 0, edition, Running(self.kind)
        state = {"source": self.source, "size": edition.size, "tag": edition.tag}
        with whole(state_of(self.file)) as part:
            part.write_text(json.dumps(state), encoding="utf-8")

    def append(self, data: bytes) -> None:
        """Write the next bytes; a disk that refuses is an `OSError` about the file itself."""
        rest = memoryview(data)
        try:
            while rest:
                written = self.opened.write(rest)
                self.checksum.update(rest[:written])
                self.length += written
                self.came += written
                rest = rest[written:]
        except OSError as error:
            error.filename = str(self.file)
            raise

    def move_to(self, place: Path) -> None:
        """Make sure that all bytes are on the disk, then put them in this place and forget the state."""
        os.fsync(self.opened.fileno())
        part_of(self.file).replace(place)
        state_of(self.file).unlink(missing_ok=True)


def part_of(file: Path) -> Path:
    """Where the bytes lie until all are there."""
    return file.with_name(f".{file.name}.download")


def state_of(file: Path) -> Path:
    """Where it is written whose bytes they are."""
    return file.with_name(f".{file.name}.download.json")


@contextmanager
def open_part(file: Path, source: str, kind: str) -> Iterator[Part]:
    """Open what there is of `file` from `source`, or nothing, for this process alone.

    `BadInput` while another process is at it: a download may outlive the run that started it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    path = part_of(file)
    with path.open("a+b", buffering=0) as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{file}: another process is downloading it; wait for that one, or end it") from None
        except OSError:
            pass  # a network file system without locks
        if not path.exists() or not os.path.samestat(path.stat(), os.fstat(opened.fileno())):
            raise BadInput(f"{file}: another process has just downloaded it; start again")
        part = Part(file, source, kind, opened)
        try:
            yield part
        except BaseException:
            if not part.length:
                forget(file)
            raise


def forget(file: Path) -> None:
    """Remove what there is of a file, and its state."""
    part_of(file).unlink(missing_ok=True)
    state_of(file).unlink(missing_ok=True)
