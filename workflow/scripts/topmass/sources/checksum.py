"""Checksums of files: as somebody gives them, as bytes arrive, and as `sha256sum` writes them down."""

import hashlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from topmass.files import BadInput, whole

LENGTHS = {"sha256": 64, "md5": 32, "adler32": 8}
"""Hexadecimal digits of each kind of checksum."""
BLOCK = 1 << 20


@dataclass(frozen=True)
class Checksum:
    """A kind of `LENGTHS` and a value in lower-case hexadecimal digits."""

    kind: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Checksum":
        """The checksum written as `kind:value`, in capitals or not; `BadInput` for an unknown kind or a wrong value."""
        kind, colon, value = text.strip().lower().partition(":")
        if not colon or kind not in LENGTHS:
            raise BadInput(f"checksum {text!r}: write it as kind:value, the kind one of {', '.join(LENGTHS)}")
        if not re.fullmatch(f"[0-9a-f]{{{LENGTHS[kind]}}}", value):
            raise BadInput(f"checksum {text!r}: {kind} has {LENGTHS[kind]} hexadecimal digits")
        return cls(kind, value)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


class Adler32:
    """Adler-32 in the manner of `hashlib`: the checksum that XRootD servers keep."""

    def __init__(self):
        self.value = 1

    def update(self, data: bytes | memoryview) -> None:
        """Take in the next bytes."""
        self.value = zlib.adler32(data, self.value)

    def hexdigest(self) -> str:
        """Eight digits."""
        return f"{self.value:08x}"


class Running:
    """A checksum of this kind that grows with the bytes it is given."""

    def __init__(self, kind: str):
        self.kind = kind
        self.digest = Adler32() if kind == "adler32" else hashlib.new(kind, usedforsecurity=False)

    def update(self, data: bytes | memoryview) -> None:
        """Take in the next bytes."""
        self.digest.update(data)

    def result(self) -> Checksum:
        """The checksum of all bytes so far."""
        return Checksum(self.kind, self.digest.hexdigest())


def running_over(kind: str, file: Path) -> Running:
    """The checksum over what is in `file`, ready for more."""
    running = Running(kind)
    bar = tqdm(desc=kind, total=file.stat().st_size, unit="B", unit_scale=True, disable=None, leave=False)
    with bar, file.open("rb") as opened:
        while block := opened.read(BLOCK):
            running.update(block)
            bar.update(len(block))
    return running


def record_of(file: Path) -> Path:
    """Where the SHA-256 of `file` is written down."""
    return file.with_name(f"{file.name}.sha256")


class Record(NamedTuple):
    """A SHA-256 that was written down, and of what source; "" in records of before."""

    checksum: Checksum
    source: str


def read_record(file: Path) -> Record | None:
    """What is written down for `file`, or None where there is nothing; `BadInput` if it cannot be read."""
    record = record_of(file)
    try:
        text = record.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    found = re.match(r"(?:# from (\S+)\n)?([0-9a-fA-F]{64}) [ *]", text)
    if not found:
        raise BadInput(f"{record}: no line of sha256sum; delete it, and it is written anew")
    return Record(Checksum("sha256", found[2].lower()), found[1] or "")


def write_record(file: Path, found: Checksum, source: str) -> None:
    """Write the SHA-256 of `file` down beside it, so that `sha256sum --check` can read it, and of what source it is."""
    with whole(record_of(file)) as part:
        part.write_text(f"# from {source}\n{found.value}  {file.name}\n", encoding="utf-8")
