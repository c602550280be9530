"""Checksums of files: parsing, computation and `sha256sum` records."""

import hashlib
import re
import zlib
from pathlib import Path

from topmass.files import BadInput, atomic_write
from topmass.io.locations import url_fingerprint

LENGTHS = {"sha256": 64, "md5": 32, "adler32": 8}
"""Hexadecimal digits of each kind of checksum."""


class Adler32:
    """Adler-32 with the interface of `hashlib`; XRootD servers store this checksum."""

    def __init__(self):
        self.value = 1

    def update(self, data: bytes | memoryview) -> None:
        """Add the next bytes."""
        self.value = zlib.adler32(data, self.value)

    def hexdigest(self) -> str:
        """Return the eight hexadecimal digits."""
        return f"{self.value:08x}"


def parse_checksum(text: str) -> str:
    """Return a checksum of the form `kind:value` in lower case; raise BadInput for any other form."""
    kind, colon, value = text.strip().lower().partition(":")
    if not colon or kind not in LENGTHS:
        raise BadInput(f"checksum {text!r}: write it as kind:value, the kind one of {', '.join(LENGTHS)}")
    if not re.fullmatch(f"[0-9a-f]{{{LENGTHS[kind]}}}", value):
        raise BadInput(f"checksum {text!r}: {kind} has {LENGTHS[kind]} hexadecimal digits")
    return f"{kind}:{value}"


def compute_checksum(file: Path, kind: str) -> str:
    """Return the checksum of a file as `kind:value`; `kind` is a key of `LENGTHS`."""
    with file.open("rb") as opened:
        return f"{kind}:{hashlib.file_digest(opened, Adler32 if kind == 'adler32' else kind).hexdigest()}"


def record_path(file: Path) -> Path:
    """Return the path of the SHA-256 record of `file`."""
    return file.with_name(f"{file.name}.sha256")


def read_record(file: Path, url: str | None = None) -> str | None:
    """Return the recorded checksum of `file`, or None without a record or if it is of a URL other than `url`.

    Raises:
        BadInput: The record cannot be parsed.
    """
    record = record_path(file)
    if not record.exists():
        return None
    text = record.read_text(encoding="utf-8", errors="replace")
    if not (match := re.match(r"(?:# from (\S+)\n)?([0-9a-f]{64}) [ *]", text)):
        raise BadInput(f"{record}: not written by topmass; to fix: delete it")
    # Records of older versions name no URL.
    return f"sha256:{match[2]}" if url is None or match[1] in (None, url_fingerprint(url)) else None


def write_record(file: Path, checksum: str, url: str) -> None:
    """Record the SHA-256 and the URL of `file` in a form that `sha256sum --check` reads."""
    digest = checksum.removeprefix("sha256:")
    with atomic_write(record_path(file)) as part:
        part.write_text(f"# from {url_fingerprint(url)}\n{digest}  {file.name}\n", encoding="utf-8")
